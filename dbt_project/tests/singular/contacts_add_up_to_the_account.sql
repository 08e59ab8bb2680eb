-- the incremental marts hold what the account holds: no row is left out or left behind
with
    expected as (
        select
            (
                select count(*) from {{ ref("stg_activecampaign__contacts") }}
            ) as contacts,
            (
                select count(*)
                from {{ ref("stg_activecampaign__custom_field_values") }}
            ) as custom_field_values,
            (
                select count(*) from {{ ref("stg_activecampaign__contacts") }}
            ) as wide_rows,
            (
                select max(observed_at)
                from {{ ref("stg_activecampaign__custom_field_values") }}
            ) as last_observed_at
    ),

    found as (
        select
            (select count(*) from {{ ref("contacts") }}) as contacts,
            (
                select count(*) from {{ ref("contact_custom_fields") }}
            ) as custom_field_values,
            (select count(*) from {{ ref("contact_custom_fields_wide") }}) as wide_rows,
            (
                select max(observed_at) from {{ ref("contact_custom_fields") }}
            ) as last_observed_at
    )

select *
from expected
except
select *
from found

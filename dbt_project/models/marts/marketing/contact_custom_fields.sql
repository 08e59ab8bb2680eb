-- Built for the values whose `row_version` has changed, otherwise left as it is.
-- After a
-- change of this SQL build it anew:
-- `dbt build --full-refresh --select contact_custom_fields+`.
{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "custom_field_value_id"],
        on_schema_change="append_new_columns",
        post_hook="{{ delete_vanished('stg_activecampaign__custom_field_values', ['account', 'custom_field_value_id']) }}",
    )
}}

{%- set rows -%}
    select
        -- ids
        account,
        custom_field_values.custom_field_value_id,
        custom_field_values.contact_id,
        custom_field_id,

        -- strings
        custom_fields.custom_field,
        custom_fields.personalization_tag,
        custom_fields.field_type,
        custom_field_values.value,

        -- booleans
        custom_fields.field_version is null as is_field_missing,
        custom_field_values.is_deleted,

        -- timestamps
        custom_field_values.created_at,
        custom_field_values.updated_at,
        custom_field_values.deleted_at,
        custom_field_values.observed_at,

        -- changes whenever something in the row does
        hash(custom_field_values.observed_at, custom_fields.field_version) as row_version
    from {{ ref("stg_activecampaign__custom_field_values") }} as custom_field_values
    left join
        (
            select
                account,
                custom_field_id,
                custom_field,
                personalization_tag,
                field_type,
                hash(custom_field, personalization_tag, field_type) as field_version
            from {{ ref("stg_activecampaign__custom_fields") }}
        ) as custom_fields
        using (account, custom_field_id)
{%- endset %}

with
    due as (
        select *
        from ({{ rows }})
        -- tables of before do not say which values are malformed
        {% if is_loaded_with("is_malformed") %}
            anti join {{ this }} using (account, custom_field_value_id, row_version)
        {% endif %}
    )

select
    *,
    case
        when {{ has_choices("field_type") }} then {{ choices("value") }}
    end as choices,
    {{ is_malformed("value", "field_type", custom_field_types("contact")) }}
    as is_malformed
from due

with
    source as (select * from {{ account_rows("contact_deals") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as contact_deal_id,
            {{ present_id("deal") }} as deal_id,
            {{ present_id("contact") }} as contact_id,
            {{ present_id("role") }} as role_id,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

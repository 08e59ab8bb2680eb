with
    source as (select * from {{ account_rows("deal_roles") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as role_id,

            -- strings
            {{ present_text("title") }} as role,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            created_timestamp as created_at,
            updated_timestamp as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

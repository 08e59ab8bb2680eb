with
    source as (select * from {{ account_rows("accounts") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as company_id,
            {{ present_id("owner") }} as owner_id,

            -- strings
            {{ present_text("name") }} as company,
            {{ present_text("accounturl") }} as website,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            createdtimestamp as created_at,
            updatedtimestamp as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

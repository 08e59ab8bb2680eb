with
    source as (select * from {{ account_rows("ecommerce_connections") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as connection_id,

            -- strings
            {{ present_text("name") }} as connection,
            {{ present_text("service") }} as service,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            udate as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

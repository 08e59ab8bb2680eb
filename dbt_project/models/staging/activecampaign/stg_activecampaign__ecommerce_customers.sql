with
    source as (select * from {{ account_rows("ecommerce_customers") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as customer_id,
            coalesce(
                {{ present_id("connectionid") }}, {{ present_id('"connection"') }}
            ) as connection_id,

            -- strings
            lower({{ present_text("email") }}) as email,
            {{ present_text("externalid") }} as external_id,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("ecommerce_orders") }}),

    currencies as (select * from {{ ref("currency_decimals") }}),

    renamed as (
        select
            -- ids
            source._account as account,
            source.id as order_id,
            coalesce(
                {{ present_id("source.customerid") }},
                {{ present_id("source.customer") }}
            ) as customer_id,
            coalesce(
                {{ present_id("source.connectionid") }},
                {{ present_id('source."connection"') }}
            ) as connection_id,

            -- strings
            {{ present_text("source.ordernumber") }} as order_number,
            {{ present_text("source.externalid") }} as external_id,
            lower({{ present_text("source.email") }}) as email,
            upper({{ present_text("source.currency") }}) as currency,
            case
                source.state
                when 0
                then 'pending'
                when 1
                then 'completed'
                when 2
                then 'abandoned'
                when 3
                then 'recovered'
                when 4
                then 'waiting'
                else 'other'
            end as state,
            {{ present_text("source.shippingmethod") }} as shipping_method,

            -- numerics
            source.state as state_code,
            source.totalproducts as products,
            {{ currency_units("source.totalprice", "currencies.decimals") }}
            as total_price,
            {{ currency_units("source.taxamount", "currencies.decimals") }} as tax,
            {{ currency_units("source.shippingamount", "currencies.decimals") }}
            as shipping,
            {{ currency_units("source.discountamount", "currencies.decimals") }}
            as discount,

            -- booleans
            source.source = 0 as is_imported,
            source._deleted_at is not null as is_deleted,

            -- timestamps
            coalesce(
                source.externalcreateddate, source.orderdate, source.createddate
            ) as ordered_at,
            source.abandoneddate as abandoned_at,
            source.updateddate as updated_at,
            source._deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
        left join
            currencies
            on upper({{ present_text("source.currency") }}) = currencies.currency
    )

select *
from renamed

with
    orders as (select * from {{ ref("stg_activecampaign__ecommerce_orders") }}),

    customers as (select * from {{ ref("stg_activecampaign__ecommerce_customers") }}),

    connections as (
        select * from {{ ref("stg_activecampaign__ecommerce_connections") }}
    ),

    -- orders know their contact by the address alone, which a deleted one may share
    contacts as (
        select
            account,
            lower(email) as email,
            coalesce(
                max(contact_id) filter (where not is_deleted), max(contact_id)
            ) as contact_id
        from {{ ref("stg_activecampaign__contacts") }}
        where email is not null
        group by all
    ),

    addressed as (
        select
            orders.* exclude (email), coalesce(orders.email, customers.email) as email
        from orders
        left join customers using (account, customer_id)
    )

select
    -- ids
    account,
    addressed.order_id,
    addressed.customer_id,
    contacts.contact_id,
    connection_id,

    -- strings
    addressed.order_number,
    addressed.external_id,
    email,
    connections.connection,
    addressed.state,
    coalesce(addressed.currency, 'unknown') as currency,
    addressed.shipping_method,

    -- numerics
    addressed.state_code,
    addressed.products,
    addressed.total_price,
    addressed.tax,
    addressed.shipping,
    addressed.discount,

    -- booleans
    addressed.state in ('completed', 'recovered')
    and not addressed.is_deleted as is_purchase,
    addressed.state = 'abandoned' and not addressed.is_deleted as is_abandoned_cart,
    addressed.is_imported,
    addressed.is_deleted,

    -- timestamps
    addressed.ordered_at,
    addressed.abandoned_at,
    addressed.updated_at,
    addressed.deleted_at,
    {{ local_date("addressed.ordered_at") }} as ordered_date,
    {{ local_month("addressed.ordered_at") }} as ordered_month
from addressed
left join contacts using (account, email)
left join connections using (account, connection_id)

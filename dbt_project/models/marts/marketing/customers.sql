with
    orders as (
        select * from {{ ref("orders") }} where email is not null and not is_deleted
    ),

    counted as (
        select
            account,
            email,
            currency,
            any_value(contact_id) as contact_id,
            count(*) filter (where is_purchase) as orders,
            count(*) filter (where is_abandoned_cart) as abandoned_carts,
            count(*) filter (where state = 'recovered') as recovered_carts,
            count(*) filter (where state in ('pending', 'waiting')) as open_orders,
            coalesce(sum(total_price) filter (where is_purchase), 0) as revenue,
            min(ordered_at) filter (where is_purchase) as first_order_at,
            max(ordered_at) filter (where is_purchase) as last_order_at
        from orders
        group by all
    )

select
    -- ids
    account,
    contact_id,

    -- strings
    email,
    currency,

    -- numerics
    orders,
    open_orders,
    abandoned_carts,
    recovered_carts,
    revenue,
    {{ ratio("revenue", "orders") }} as average_order_value,

    -- booleans
    orders > 1 as is_repeat,

    -- timestamps
    first_order_at,
    last_order_at,
    {{ local_month("first_order_at") }} as first_order_month
from counted

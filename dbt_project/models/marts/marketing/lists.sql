with
    lists as (select * from {{ ref("stg_activecampaign__lists") }}),

    memberships as (
        select
            account,
            list_id,
            status,
            subscribed_at,
            case
                when status = 'unsubscribed' then unsubscribed_at else deleted_at
            end as left_at
        from {{ ref("list_memberships") }}
        where
            subscribed_at is not null
            and (
                status = 'subscribed'
                or (status = 'unsubscribed' and unsubscribed_at is not null)
            )
    ),

    movements as (
        select account, list_id, 'subscribed' as movement, subscribed_at as moved_at
        from memberships
        union all
        select
            account,
            list_id,
            if(status = 'unsubscribed', status, 'removed') as movement,
            greatest(subscribed_at, left_at) as moved_at
        from memberships
        where left_at is not null
        union all
        select account, list_id, 'created' as movement, created_at as moved_at
        from lists
    ),

    monthly_movements as (
        select
            account,
            list_id,
            {{ local_month("moved_at") }} as month,
            count(*) filter (where movement = 'subscribed') as subscribed,
            count(*) filter (where movement = 'unsubscribed') as unsubscribed,
            count(*) filter (where movement = 'removed') as removed
        from movements
        group by all
    ),

    spans as (
        select account, list_id, min(month) as first_month
        from monthly_movements
        group by all
    ),

    months as (
        select
            account,
            list_id,
            cast(
                unnest(
                    generate_series(
                        first_month, {{ local_month(as_of()) }}, interval '1 month'
                    )
                ) as date
            ) as month
        from spans
    ),

    filled as (
        select
            account,
            list_id,
            month,
            coalesce(subscribed, 0) as subscribed,
            coalesce(unsubscribed, 0) as unsubscribed,
            coalesce(removed, 0) as removed,
            coalesce(subscribed - unsubscribed - removed, 0) as net_growth
        from months
        left join monthly_movements using (account, list_id, month)
    )

select
    account,
    list_id,
    filled.month,
    lists.list,
    lists.channel,
    filled.subscribed,
    filled.unsubscribed,
    filled.removed,
    filled.net_growth,
    cast(
        sum(filled.net_growth) over (
            partition by account, list_id order by filled.month
        ) as bigint
    ) as members,
    coalesce(lists.is_deleted, true) as is_list_missing
from filled
left join lists using (account, list_id)

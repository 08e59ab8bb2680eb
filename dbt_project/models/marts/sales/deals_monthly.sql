with
    deals as (select * from {{ ref("deals") }} where is_counted),

    -- a decided deal is credited to who owned it then, at the value that it had, in the
    -- currency of then
    events as (
        select *, created_month as month, 'created' as event
        from deals
        union all
        select
            * replace (
                closed_owner_id as owner_id,
                closed_owner as owner,
                closed_currency as currency,
                closed_value as value
            ),
            closed_month as month,
            status as event
        from deals
        where status in ('won', 'lost')
    ),

    counted as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            coalesce(owner_id, 0) as owner_id,
            coalesce(currency, 'unknown') as currency,
            any_value(pipeline) as pipeline,
            any_value(owner) as owner,
            count(*) filter (where event = 'created') as created_deals,
            count(*) filter (where event = 'won') as won_deals,
            count(*) filter (where event = 'lost') as lost_deals,
            count(*) filter (
                where event <> 'created' and not is_closed_at_known
            ) as decided_deals_of_unknown_date,
            coalesce(sum(value) filter (where event = 'created'), 0) as created_value,
            coalesce(sum(value) filter (where event = 'won'), 0) as won_value,
            coalesce(sum(value) filter (where event = 'lost'), 0) as lost_value,
            month
        from events
        where month is not null
        group by all
    )

select
    account,
    pipeline_id,
    owner_id,
    currency,
    pipeline,
    owner,
    created_deals,
    won_deals,
    lost_deals,
    decided_deals_of_unknown_date,
    created_deals - won_deals - lost_deals as net_deals,
    created_value,
    won_value,
    lost_value,
    created_value - won_value - lost_value as net_value,
    {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
    month
from counted

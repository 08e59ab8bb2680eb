with
    deals as (
        select *
        from {{ ref("deals") }}
        where is_counted and status in ('won', 'lost') and closed_month is not null
    ),

    counted as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            coalesce(closed_owner_id, 0) as owner_id,
            closed_month,
            coalesce(closed_currency, 'unknown') as currency,
            any_value(pipeline) as pipeline,
            any_value(closed_owner) as owner,
            count(*) filter (where status = 'won') as won_deals,
            count(*) filter (where status = 'lost') as lost_deals,
            count(*) filter (
                where not is_closed_at_known
            ) as decided_deals_of_unknown_date,
            coalesce(sum(closed_value) filter (where status = 'won'), 0) as won_value,
            coalesce(sum(closed_value) filter (where status = 'lost'), 0) as lost_value
        from deals
        group by 1, 2, 3, 4, 5
    )

select
    account,
    pipeline_id,
    owner_id,
    closed_month,
    currency,
    pipeline,
    owner,
    won_deals,
    lost_deals,
    decided_deals_of_unknown_date,
    won_value,
    lost_value,
    {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
    {{ ratio("won_value", "won_value + lost_value") }} as win_rate_by_value
from counted

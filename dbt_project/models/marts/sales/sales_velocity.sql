with
    deals as (select * from {{ ref("deals") }} where is_counted),

    -- open deals as they are now; decided ones of the last days only, in their currency
    -- of then
    recent as (
        select * replace ({{ as_of_decision(["currency"]) }})
        from deals
        where
            status = 'open'
            or closed_at
            > {{ as_of() }} - interval '{{ var("sales_velocity_days") }}' day
    ),

    counted as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            coalesce(currency, 'unknown') as currency,
            any_value(pipeline) as pipeline,
            count(*) filter (where status = 'open') as open_deals,
            count(*) filter (where status = 'won') as won_deals,
            count(*) filter (where status = 'lost') as lost_deals,
            count(*) filter (
                where status in ('won', 'lost') and not is_closed_at_known
            ) as decided_deals_of_unknown_date,
            coalesce(sum(closed_value) filter (where status = 'won'), 0) as won_value,
            avg(days_to_close) filter (where status = 'won') as average_days_to_win,
            median(days_to_close) filter (where status = 'won') as median_days_to_win
        from recent
        group by 1, 2, 3
    ),

    averaged as (
        select
            *,
            {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
            {{ ratio("won_value", "won_deals") }} as average_won_value
        from counted
    )

select
    account,
    pipeline_id,
    currency,
    pipeline,
    cast({{ var("sales_velocity_days") }} as bigint) as window_days,
    open_deals,
    won_deals,
    lost_deals,
    decided_deals_of_unknown_date,
    won_value,
    win_rate,
    average_won_value,
    average_days_to_win,
    median_days_to_win,
    {{ ratio("open_deals * win_rate * average_won_value", "average_days_to_win") }}
    as value_per_day
from averaged

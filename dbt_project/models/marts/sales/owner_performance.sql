with
    deals as (select * from {{ ref("deals") }} where is_counted),

    counted as (
        select
            account,
            coalesce(owner_id, 0) as owner_id,
            coalesce(currency, 'unknown') as currency,
            any_value(owner) as owner,
            count(*) as deals,
            count(*) filter (where status = 'open') as open_deals,
            count(*) filter (where status = 'won') as won_deals,
            count(*) filter (where status = 'lost') as lost_deals,
            coalesce(sum(value) filter (where status = 'open'), 0) as open_value,
            coalesce(sum(value) filter (where status = 'won'), 0) as won_value,
            coalesce(sum(value) filter (where status = 'lost'), 0) as lost_value,
            avg(days_to_close) filter (where status = 'won') as average_days_to_win,
            median(days_to_close) filter (where status = 'won') as median_days_to_win,
            bool_or(is_owner_missing) as is_owner_missing
        from deals
        group by 1, 2, 3
    )

select
    account,
    owner_id,
    currency,
    owner,
    deals,
    open_deals,
    won_deals,
    lost_deals,
    open_value,
    won_value,
    lost_value,
    {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
    {{ ratio("won_value", "won_value + lost_value") }} as win_rate_by_value,
    {{ ratio("won_value", "won_deals") }} as average_won_value,
    average_days_to_win,
    median_days_to_win,
    is_owner_missing
from counted

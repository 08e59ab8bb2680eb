with
    owners as (select * from {{ ref("int_users__known") }}),

    deals as (select * from {{ ref("deals") }} where is_counted),

    -- a deal is credited to who owned it when it was decided, at the value that it had,
    -- in the currency of then
    credited as (
        select * replace ({{ as_of_decision(["owner_id", "currency", "value"]) }})
        from deals
    ),

    counted as (
        select
            account,
            coalesce(owner_id, 0) as owner_id,
            coalesce(currency, 'unknown') as currency,
            count(*) as deals,
            count(*) filter (where status = 'open') as open_deals,
            count(*) filter (where status = 'won') as won_deals,
            count(*) filter (where status = 'lost') as lost_deals,
            count(*) filter (
                where status in ('won', 'lost') and not is_closed_at_known
            ) as decided_deals_of_unknown_date,
            coalesce(sum(value) filter (where status = 'open'), 0) as open_value,
            coalesce(sum(value) filter (where status = 'won'), 0) as won_value,
            coalesce(sum(value) filter (where status = 'lost'), 0) as lost_value,
            avg(days_to_close) filter (where status = 'won') as average_days_to_win,
            median(days_to_close) filter (where status = 'won') as median_days_to_win
        from credited
        group by 1, 2, 3
    )

select
    counted.account,
    owner_id,
    currency,
    owners.full_name as owner,
    deals,
    open_deals,
    won_deals,
    lost_deals,
    decided_deals_of_unknown_date,
    open_value,
    won_value,
    lost_value,
    {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
    {{ ratio("won_value", "won_value + lost_value") }} as win_rate_by_value,
    {{ ratio("won_value", "won_deals") }} as average_won_value,
    average_days_to_win,
    median_days_to_win,
    owner_id <> 0 and coalesce(owners.is_user_missing, true) as is_owner_missing
from counted
left join owners on counted.account = owners.account and owner_id = owners.user_id

with
    intervals as (select * from {{ ref("int_deals__stage_intervals") }}),

    -- a deal that was deleted and came back, or moved while it was won, was not decided
    -- again
    latest as (
        select
            account,
            deal_id,
            arg_max(status, interval_number) as status,
            arg_max(is_start_known, interval_number) as is_start_known,
            arg_max(starts_at, interval_number) as starts_at,
            arg_max(owner_id, interval_number) as owner_id,
            arg_max(currency, interval_number) as currency,
            arg_max(value, interval_number) as value
        from intervals
        where
            not is_deleted
            and status is not null
            and status is distinct from previous_status
        group by account, deal_id
    ),

    decided as (
        select
            account,
            deal_id,
            owner_id,
            status,
            currency,
            value,
            is_start_known as is_closed_at_known,
            starts_at as closed_at
        from latest
        where status in ('won', 'lost')
    )

select *
from decided

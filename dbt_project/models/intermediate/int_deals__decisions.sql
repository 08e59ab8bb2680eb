with
    intervals as (select * from {{ ref("int_deals__stage_intervals") }}),

    -- deletion is an interval of its own, so a decision is the last one before it
    latest as (
        select
            account,
            deal_id,
            arg_max_null(status, interval_number) as status,
            arg_max_null(is_start_known, interval_number) as is_start_known,
            arg_max_null(starts_at, interval_number) as starts_at
        from intervals
        where not is_deleted
        group by account, deal_id
    ),

    decided as (
        select
            account,
            deal_id,
            status,
            is_start_known as is_closed_at_known,
            starts_at as closed_at
        from latest
        where status in ('won', 'lost')
    )

select *
from decided

with
    intervals as (select * from {{ ref("int_deals__stage_intervals") }}),

    -- deletion is an interval of its own, so a decision is the last one before it
    latest as (
        select *
        from intervals
        where not is_deleted
        qualify
            row_number() over (
                partition by account, deal_id order by interval_number desc
            )
            = 1
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

with
    intervals as (select * from {{ ref("int_deals__stage_intervals") }}),

    reopened as (
        select
            account,
            deal_id,
            count(*) as times_reopened,
            max(starts_at) as last_reopened_at
        from intervals
        where not is_deleted and status = 'open' and previous_status in ('won', 'lost')
        group by account, deal_id
    )

select *
from reopened

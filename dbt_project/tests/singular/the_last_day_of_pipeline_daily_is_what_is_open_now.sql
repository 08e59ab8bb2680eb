with
    last_day as (
        select account, pipeline_id, stage_id, currency, open_deals, open_value
        from {{ ref("pipeline_daily") }}
        qualify day = max(day) over () and (open_deals > 0 or open_value <> 0)
    ),

    open_now as (
        select account, pipeline_id, stage_id, currency, open_deals, open_value
        from {{ ref("pipeline_stages") }}
        where open_deals > 0
    )

select *
from last_day
full join open_now using (account, pipeline_id, stage_id, currency)
where
    last_day.open_deals is distinct from open_now.open_deals
    or last_day.open_value is distinct from open_now.open_value

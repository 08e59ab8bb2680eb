with
    events as (
        select
            *,
            lead(is_start_known, 1, true) over (
                partition by account, deal_id order by event_number
            ) as is_end_known
        from {{ ref("int_deals__events") }}
    ),

    calendar as (select * from {{ ref("calendar") }}),

    -- a deal counts on a day if it is open when the day ends
    open_periods as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            coalesce(stage_id, 0) as stage_id,
            coalesce(currency, 'unknown') as currency,
            coalesce(value, 0) as value,
            if(is_start_known and is_end_known, 0, 1) as is_doubtful,
            {{ local_date("visible_from") }} as first_day,
            {{ local_date("ends_at") }} as first_day_after
        from events
        where status = 'open' and is_counted and coalesce(visible_from < ends_at, true)
    ),

    movements as (
        select
            account,
            pipeline_id,
            stage_id,
            currency,
            unnest([first_day, first_day_after]) as day,
            unnest([1, -1]) as deals,
            unnest([value, - value]) as value,
            unnest([is_doubtful, - is_doubtful]) as doubtful_deals
        from open_periods
        where first_day is distinct from first_day_after
    ),

    daily_movements as (
        select
            account,
            pipeline_id,
            stage_id,
            currency,
            greatest(day, (select min(day) from calendar)) as day,
            sum(deals) as deals,
            sum(value) as value,
            sum(doubtful_deals) as doubtful_deals
        from movements
        where day is not null
        group by all
    ),

    spans as (
        select account, pipeline_id, stage_id, currency, min(day) as first_day
        from daily_movements
        group by all
    ),

    days as (
        select spans.* exclude (first_day), calendar.day
        from spans
        inner join
            calendar
            on calendar.day >= spans.first_day
            and calendar.day <= {{ local_date(as_of()) }}
    ),

    running as (
        select
            account,
            pipeline_id,
            stage_id,
            currency,
            day,
            cast(sum(coalesce(deals, 0)) over up_to_day as bigint) as open_deals,
            cast(
                sum(coalesce(doubtful_deals, 0)) over up_to_day as bigint
            ) as open_deals_of_unknown_date,
            cast(sum(coalesce(value, 0)) over up_to_day as decimal(38, 4)) as open_value
        from days
        left join daily_movements using (account, pipeline_id, stage_id, currency, day)
        window
            up_to_day as (
                partition by account, pipeline_id, stage_id, currency
                order by day
                rows unbounded preceding
            )
    ),

    stages as (select * from {{ ref("int_deal_stages__known") }}),

    pipelines as (select * from {{ ref("int_pipelines__known") }}),

    first_observations as (
        select account, {{ local_date("min(observed_at)") }} as first_observed_day
        from events
        group by account
    )

select
    account,
    running.day,
    pipeline_id,
    stage_id,
    running.currency,
    pipelines.pipeline,
    stages.stage,
    stages.stage_position,
    running.open_deals,
    running.open_deals_of_unknown_date,
    running.open_value,
    running.day >= first_observations.first_observed_day as is_observed
from running
inner join first_observations using (account)
left join stages using (account, pipeline_id, stage_id)
left join pipelines using (account, pipeline_id)

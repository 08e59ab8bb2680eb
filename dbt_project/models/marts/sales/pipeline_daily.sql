with
    events as not materialized(select * from {{ ref("int_deals__events") }}),

    calendar as (select * from {{ ref("calendar") }}),

    -- a deal counts on a day if it is open when the day ends
    open_periods as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            coalesce(stage_id, 0) as stage_id,
            coalesce(currency, 'unknown') as currency,
            coalesce(value, 0) as value,
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
            first_day as day,
            1 as deals,
            value
        from open_periods
        where first_day is distinct from first_day_after
        union all
        select
            account,
            pipeline_id,
            stage_id,
            currency,
            first_day_after as day,
            -1 as deals,
            - value as value
        from open_periods
        where first_day < first_day_after
    ),

    daily_movements as (
        select
            account,
            pipeline_id,
            stage_id,
            currency,
            greatest(day, (select min(day) from calendar)) as day,
            sum(deals) as deals,
            sum(value) as value
        from movements
        group by all
    ),

    spans as (
        select account, pipeline_id, stage_id, currency, min(day) as first_day
        from daily_movements
        group by all
    ),

    days as (
        select
            spans.account,
            spans.pipeline_id,
            spans.stage_id,
            spans.currency,
            calendar.day
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
    running.account,
    running.day,
    running.pipeline_id,
    running.stage_id,
    running.currency,
    pipelines.pipeline,
    stages.stage,
    stages.stage_position,
    running.open_deals,
    running.open_value,
    running.day >= first_observations.first_observed_day as is_observed
from running
inner join first_observations using (account)
left join
    stages
    on running.account = stages.account
    and running.stage_id = stages.stage_id
    and running.pipeline_id = stages.pipeline_id
left join
    pipelines
    on running.account = pipelines.account
    and running.pipeline_id = pipelines.pipeline_id

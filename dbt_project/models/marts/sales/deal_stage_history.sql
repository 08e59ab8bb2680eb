with
    intervals as (select * from {{ ref("int_deals__stage_intervals") }}),

    stages as (select * from {{ ref("int_deal_stages__known") }}),

    pipelines as (select * from {{ ref("int_pipelines__known") }}),

    users as (select * from {{ ref("int_users__known") }}),

    deals as (select * from {{ ref("int_deals__tracked") }}),

    -- a visit is the time that an open deal spends in a stage
    visits as (
        select
            *,
            case
                when is_current
                then null
                when is_next_deleted
                then 'deleted'
                when next_status in ('won', 'lost')
                then next_status
                when is_next_hidden
                then 'hidden'
                when next_status is distinct from 'open'
                then 'unknown status'
                when next_stage_id is null
                then 'left all stages'
                when next_pipeline_id is distinct from pipeline_id
                then 'moved to another pipeline'
                else 'moved to another stage'
            end as ended_by,
            -- a hidden deal left at some later time, or has not
            coalesce(is_end_known and not is_next_hidden, true) as is_left_at_known
        from intervals
        where step_number is not null
    ),

    described as (
        select
            -- ids
            visits.account,
            visits.deal_id,
            visits.step_number,
            visits.pipeline_id,
            visits.stage_id,
            visits.changed_by_id as moved_by_id,

            -- strings
            pipelines.pipeline,
            stages.stage,
            users.full_name as moved_by,
            visits.ended_by,

            -- numerics
            {{ place_of_stage("stages", "visits") }} as stage_position,
            visits.visit_number,
            case
                when visits.is_start_known and visits.is_left_at_known
                then
                    {{
                        days_between(
                            "visits.starts_at",
                            "coalesce(visits.ends_at, " ~ as_of() ~ ")",
                        )
                    }}
            end as days,
            greatest(
                0,
                {{
                    days_between(
                        "greatest(visits.starts_at, visits.observed_from)",
                        "coalesce(visits.ends_at, " ~ as_of() ~ ")",
                    )
                }}
            ) as days_observed,

            -- booleans
            visits.is_current,
            visits.is_start_known as is_entered_at_known,
            visits.is_left_at_known,
            coalesce(deals.is_hidden, false) as is_hidden,
            deals.deal_id is null as is_deal_missing,
            {{ is_stage_missing("stages", "visits") }} as is_stage_missing,

            -- timestamps
            visits.starts_at as entered_at,
            visits.ends_at as left_at,
            case
                when coalesce(visits.observed_from < visits.ends_at, true)
                then visits.observed_from
            end as observed_from,
            {{ local_date("visits.starts_at") }} as entered_date,
            {{ local_date("visits.ends_at") }} as left_date
        from visits
        left join
            stages
            on visits.account = stages.account
            and visits.stage_id = stages.stage_id
        left join
            pipelines
            on visits.account = pipelines.account
            and visits.pipeline_id = pipelines.pipeline_id
        left join
            users
            on visits.account = users.account
            and visits.changed_by_id = users.user_id
        left join
            deals on visits.account = deals.account and visits.deal_id = deals.deal_id
    )

select *
from described

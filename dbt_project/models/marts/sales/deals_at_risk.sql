with
    deals as (select * from {{ ref("deals") }} where is_counted),

    current_visits as (
        select
            account,
            deal_id,
            coalesce(days, days_observed) as days_in_stage,
            days is not null as is_days_in_stage_known
        from {{ ref("deal_stage_history") }}
        where is_current
    ),

    visits_of_won_deals as (
        select
            account,
            visits.stage_id,
            count(*) as won_visits,
            quantile_cont(visits.days, 0.8) as usual_days_in_stage
        from {{ ref("deal_stage_history") }} as visits
        inner join deals using (account, deal_id)
        where deals.status = 'won' and visits.days is not null
        group by all
    ),

    changes as (
        select account, deal_id, max(created_at) as last_change_at
        from {{ ref("stg_activecampaign__deal_activities") }}
        group by all
    ),

    tasks_and_notes as (
        select
            account,
            deal_id,
            max(greatest(created_at, updated_at, done_at)) as last_task_or_note_at,
            count(*) filter (where not is_done and not is_deleted) as open_tasks
        from {{ ref("activities") }}
        group by all
    ),

    measured as (
        select
            *,
            coalesce(won_visits, 0) as visits_judged_by,
            coalesce(open_tasks, 0) as tasks_to_do,
            greatest(
                created_at, updated_at, last_change_at, last_task_or_note_at
            ) as last_activity_at,
            {{ days_between("last_activity_at", as_of()) }} as days_without_activity
        from deals
        left join current_visits using (account, deal_id)
        left join visits_of_won_deals using (account, stage_id)
        left join changes using (account, deal_id)
        left join tasks_and_notes using (account, deal_id)
        where status = 'open'
    ),

    judged as (
        select
            *,
            -- a time that is not known in full can be too long, but never short enough
            case
                when
                    visits_judged_by >= 5
                    and (is_days_in_stage_known or days_in_stage > usual_days_in_stage)
                then days_in_stage > usual_days_in_stage
            end as is_long_in_stage,
            coalesce(next_action_at < {{ as_of() }}, false) as is_next_action_past,
            coalesce(
                days_without_activity > {{ var("deals_at_risk_days") }}, false
            ) as is_inactive,
            next_action_at is null and tasks_to_do = 0 as is_without_next_step
        from measured
    )

select
    -- ids
    account,
    deal_id,
    contact_id,
    owner_id,
    pipeline_id,
    stage_id,

    -- strings
    title,
    contact,
    owner,
    pipeline,
    stage,
    currency,

    -- numerics
    value,
    stage_position,
    days_in_stage,
    usual_days_in_stage,
    visits_judged_by,
    days_without_activity,
    tasks_to_do,
    len(
        list_filter(
            [is_long_in_stage, is_next_action_past, is_inactive, is_without_next_step],
            lambda reason:reason
        )
    ) as reasons,

    -- booleans
    is_long_in_stage,
    is_next_action_past,
    is_inactive,
    is_without_next_step,
    is_days_in_stage_known,

    -- timestamps
    next_action_at,
    last_activity_at
from judged

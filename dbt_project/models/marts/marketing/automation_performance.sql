with
    automations as (select * from {{ ref("stg_activecampaign__automations") }}),

    entries as (
        select *, {{ local_month("entered_at") }} as entered_month
        from {{ ref("stg_activecampaign__contact_automations") }}
        where entered_at is not null
    ),

    goals_of_entries as (
        select account, contact_automation_id, count(*) as goals_reached
        from {{ ref("stg_activecampaign__contact_goals") }}
        group by all
    ),

    counted as (
        select
            account,
            coalesce(automation_id, 0) as automation_id,
            entered_month,
            count(*) as entered,
            count(distinct contact_id) as contacts,
            count(*) filter (
                where status = 'in progress' and not is_deleted
            ) as in_progress,
            count(*) filter (where status = 'ended' and is_completed) as completed,
            count(*) filter (where status = 'ended' and not is_completed) as left_early,
            median({{ days_between("entered_at", "left_at") }}) filter (
                where status = 'ended' and is_completed
            ) as median_days_to_complete,
            avg({{ days_between("entered_at", "left_at") }}) filter (
                where status = 'ended' and is_completed
            ) as average_days_to_complete,
            cast(sum(goals_reached) as bigint) as goals_reached
        from entries
        left join goals_of_entries using (account, contact_automation_id)
        group by all
    )

select
    -- ids
    account,
    automation_id,
    counted.entered_month,

    -- strings
    automations.automation,

    -- numerics
    automations.status_code as automation_status_code,
    counted.entered,
    counted.contacts,
    counted.in_progress,
    counted.completed,
    counted.left_early,
    {{ ratio("counted.completed", "counted.entered") }} as completion_rate,
    counted.median_days_to_complete,
    counted.average_days_to_complete,
    -- the stream is off by default, and none is not zero
    case
        when account in (select account from goals_of_entries)
        then coalesce(counted.goals_reached, 0)
    end as goals_reached,

    -- booleans
    coalesce(automations.is_deleted, true) as is_automation_missing
from counted
left join automations using (account, automation_id)

with
    tasks as (select * from {{ ref("stg_activecampaign__tasks") }}),

    notes as (select * from {{ ref("stg_activecampaign__notes") }}),

    task_types as (select * from {{ ref("stg_activecampaign__task_types") }}),

    outcomes as (select * from {{ ref("stg_activecampaign__task_outcomes") }}),

    owners as (select * from {{ ref("int_users__known") }}),

    combined as (
        select
            account,
            task_id as activity_id,
            'task' as activity_type,
            related_type,
            related_id,
            coalesce(assignee_id, created_by_id) as owner_id,
            created_by_id,
            task_type_id,
            outcome_id,
            title,
            note,
            outcome_info,
            null as is_draft,
            is_done,
            done_at is not null as is_done_at_known,
            not is_done
            and not is_deleted
            and coalesce(due_at < {{ as_of() }}, false) as is_overdue,
            is_deleted,
            created_at,
            updated_at,
            due_at,
            case when is_done then coalesce(done_at, updated_at) end as done_at,
            deleted_at
        from tasks
        union all
        select
            account,
            note_id as activity_id,
            'note' as activity_type,
            related_type,
            related_id,
            created_by_id as owner_id,
            created_by_id,
            null as task_type_id,
            null as outcome_id,
            null as title,
            note,
            null as outcome_info,
            is_draft,
            null as is_done,
            null as is_done_at_known,
            null as is_overdue,
            is_deleted,
            created_at,
            updated_at,
            null as due_at,
            null as done_at,
            deleted_at
        from notes
    )

select
    -- ids
    combined.account,
    combined.activity_id,
    combined.related_id,
    case when related_type = 'Deal' then related_id end as deal_id,
    case when related_type = 'Subscriber' then related_id end as contact_id,
    case when related_type = 'CustomerAccount' then related_id end as company_id,
    combined.owner_id,
    combined.created_by_id,
    combined.task_type_id,
    combined.outcome_id,

    -- strings
    combined.activity_type,
    combined.related_type,
    owners.full_name as owner,
    task_types.task_type,
    outcomes.outcome,
    outcomes.sentiment as outcome_sentiment,
    combined.outcome_info,
    combined.title,
    combined.note,

    -- booleans
    combined.is_done,
    combined.is_done_at_known,
    combined.is_overdue,
    combined.is_draft,
    combined.is_deleted,

    -- timestamps
    combined.created_at,
    combined.updated_at,
    combined.due_at,
    combined.done_at,
    combined.deleted_at,
    {{ local_date("combined.created_at") }} as created_date,
    {{ local_date("combined.due_at") }} as due_date,
    {{ local_date("combined.done_at") }} as done_date
from combined
left join
    owners on combined.account = owners.account and combined.owner_id = owners.user_id
left join
    task_types
    on combined.account = task_types.account
    and combined.task_type_id = task_types.task_type_id
left join
    outcomes
    on combined.account = outcomes.account
    and combined.outcome_id = outcomes.outcome_id

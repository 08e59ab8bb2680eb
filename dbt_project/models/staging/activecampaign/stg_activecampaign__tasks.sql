with
    source as (select * from {{ account_rows("tasks") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as task_id,
            {{ present_id("relid") }} as related_id,
            {{ present_id("dealtasktype") }} as task_type_id,
            {{ present_id("outcomeid") }} as outcome_id,
            {{ present_id('"user"') }} as created_by_id,
            {{ present_id("assignee") }} as assignee_id,

            -- strings
            {{ present_text("reltype") }} as related_type,
            {{ present_text("title") }} as title,
            {{ present_text("note") }} as note,
            {{ present_text("outcomeinfo") }} as outcome_info,

            -- booleans
            coalesce(status = 1, false) as is_done,
            _deleted_at is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            udate as updated_at,
            duedate as due_at,
            donedate as done_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

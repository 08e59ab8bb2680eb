with
    source as (select * from {{ account_rows("contact_automations") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as contact_automation_id,
            contact as contact_id,
            coalesce(
                {{ present_id("automation") }}, {{ present_id("seriesid") }}
            ) as automation_id,
            {{ present_id("lastblock") }} as automation_block_id,

            -- strings
            case
                status when 1 then 'in progress' when 2 then 'ended' else 'other'
            end as status,

            -- numerics
            status as status_code,
            completedelements as completed_steps,
            totalelements as steps,

            -- booleans
            coalesce(completed, 0) = 1 as is_completed,
            _deleted_at is not null as is_deleted,

            -- timestamps
            adddate as entered_at,
            lastdate as last_step_at,
            remdate as left_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

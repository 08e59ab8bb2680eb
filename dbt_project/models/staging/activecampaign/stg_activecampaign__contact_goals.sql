with
    source as (select * from {{ account_rows("contact_goals") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as contact_goal_id,
            coalesce(
                {{ present_id("contact") }}, {{ present_id("subscriberid") }}
            ) as contact_id,
            coalesce({{ present_id("goal") }}, {{ present_id("goalid") }}) as goal_id,
            coalesce(
                {{ present_id("contactautomation") }},
                {{ present_id("subscriberseriesid") }}
            ) as contact_automation_id,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            tstamp as reached_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

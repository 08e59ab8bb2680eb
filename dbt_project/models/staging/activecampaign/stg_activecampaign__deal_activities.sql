with
    source as (select * from {{ account_rows("deal_activities") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as deal_activity_id,
            coalesce({{ present_id("deal") }}, {{ present_id("d_id") }}) as deal_id,
            coalesce({{ present_id('"user"') }}, {{ present_id("userid") }}) as user_id,
            coalesce(
                {{ present_id("automation") }}, {{ present_id("seriesid") }}
            ) as automation_id,

            -- strings
            {{ present_text("datatype") }} as activity_type,
            {{ present_text("dataoldval") }} as old_value,
            {{ present_text("dataaction") }} as new_value,

            -- timestamps
            cdate as created_at,
            greatest(_synced_at, _deleted_at) as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("contact_lists") }}),

    renamed as (
        select
            -- ids
            _account as account,
            contact as contact_id,
            list as list_id,
            {{ present_id("form") }} as form_id,
            {{ present_id("campaign") }} as campaign_id,
            {{ present_id("unsubscribeautomation") }} as unsubscribe_automation_id,

            -- strings
            {{ present_text("channel") }} as channel,
            case
                status
                when 0
                then 'unconfirmed'
                when 1
                then 'subscribed'
                when 2
                then 'unsubscribed'
                when 3
                then 'bounced'
                else 'other'
            end as status,
            {{ present_text("unsubreason") }} as unsubscribe_reason,

            -- numerics
            status as status_code,
            sourceid as source_code,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            sdate as subscribed_at,
            udate as unsubscribed_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("campaigns") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as campaign_id,
            coalesce(
                {{ present_id("automation") }}, {{ present_id("seriesid") }}
            ) as automation_id,
            {{ present_id("segmentid") }} as segment_id,
            coalesce({{ present_id('"user"') }}, {{ present_id("userid") }}) as user_id,

            -- strings
            {{ present_text("name") }} as campaign,
            {{ present_text("type") }} as campaign_type,
            case
                when status = 0
                then 'draft'
                when
                    status = 1
                    and coalesce(
                        {{ present_id("automation") }}, {{ present_id("seriesid") }}
                    )
                    is not null
                then 'automation'
                when status = 1
                then 'scheduled'
                when status = 5
                then 'sent'
                when lower(trim(statusstring)) in ('sending', 'paused', 'stopped')
                then lower(trim(statusstring))
                when status is not null
                then 'other'
            end as status,
            {{ present_text("statusstring") }} as status_label,

            -- numerics
            total_amt as recipients,
            send_amt as sends,
            opens,
            uniqueopens as unique_opens,
            verified_opens,
            verified_unique_opens,
            linkclicks as clicks,
            uniquelinkclicks as unique_clicks,
            subscriberclicks as clickers,
            hardbounces as hard_bounces,
            softbounces as soft_bounces,
            unsubscribes,
            forwards,
            replies,

            -- booleans
            coalesce(
                trackreads = 1, case when opens > 0 then true end
            ) as are_opens_tracked,
            coalesce(deletestamp, _deleted_at) is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            mdate as updated_at,
            sdate as sent_at,
            ldate as last_sent_at,
            {{ from_account_clock("updated_timestamp") }} as counted_at,
            coalesce(_deleted_at, deletestamp) as deleted_at,
            greatest(_synced_at, _deleted_at) as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("send_logs") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as send_log_id,
            coalesce(
                {{ present_id("subscriberid") }}, {{ present_id("contact") }}
            ) as contact_id,
            coalesce(
                {{ present_id("campaignid") }}, {{ present_id("campaign") }}
            ) as campaign_id,
            {{ present_id("messageid") }} as message_id,

            -- booleans
            coalesce(successful, 1) = 1 as is_successful,
            _deleted_at is not null as is_deleted,

            -- timestamps
            tstamp as sent_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

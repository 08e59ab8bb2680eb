with
    source as (select * from {{ account_rows("campaign_messages") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as campaign_message_id,
            coalesce(
                {{ present_id("campaignid") }}, {{ present_id("campaign") }}
            ) as campaign_id,
            coalesce(
                {{ present_id("messageid") }}, {{ present_id("message") }}
            ) as message_id,

            -- strings
            {{ present_text("subject") }} as subject,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

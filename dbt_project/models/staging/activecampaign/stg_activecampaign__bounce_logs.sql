with
    source as (select * from {{ account_rows("bounce_logs") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as bounce_log_id,
            coalesce(
                {{ present_id("contact") }}, {{ present_id("subscriberid") }}
            ) as contact_id,
            coalesce(
                {{ present_id("campaignid") }}, {{ present_id("campaign") }}
            ) as campaign_id,

            -- strings
            lower({{ present_text("email") }}) as email,
            {{ present_text("code") }} as code,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            tstamp as bounced_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("campaign_links") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as link_id,
            coalesce(
                {{ present_id("campaignid") }}, {{ present_id("campaign") }}
            ) as campaign_id,
            coalesce(
                {{ present_id("messageid") }}, {{ present_id("message") }}
            ) as message_id,

            -- strings
            {{ present_text("link") }} as url,
            {{ present_text("name") }} as link,

            -- numerics
            linkclicks as clicks,
            uniquelinkclicks as unique_clicks,

            -- booleans
            coalesce(tracked, 0) = 1 as is_tracked,
            lower(trim(link)) = 'open' as is_open_pixel,
            _deleted_at is not null as is_deleted,

            -- timestamps
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("mpp_link_data") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as mpp_link_data_id,
            {{ present_id("subscriberid") }} as contact_id,
            {{ present_id("campaignid") }} as campaign_id,
            coalesce({{ present_id("link") }}, {{ present_id("linkid") }}) as link_id,
            {{ present_id("messageid") }} as message_id,

            -- numerics
            isread as read_code,
            times as hits,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            tstamp as recorded_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

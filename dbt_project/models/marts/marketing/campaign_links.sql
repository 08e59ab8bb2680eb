with
    links as (
        select *
        from {{ ref("stg_activecampaign__campaign_links") }}
        where not coalesce(is_open_pixel, false)
    ),

    campaigns as (select * from {{ ref("stg_activecampaign__campaigns") }})

select
    -- ids
    account,
    links.link_id,
    campaign_id,
    links.message_id,

    -- strings
    campaigns.campaign,
    links.link,
    links.url,

    -- numerics
    links.clicks,
    links.unique_clicks,
    {{
        ratio(
            "links.clicks",
            "sum(links.clicks) over (partition by account, campaign_id)",
        )
    }} as share_of_clicks,
    {{ ratio("links.unique_clicks", "campaigns.sends") }} as click_rate,

    -- booleans
    links.is_tracked,
    links.is_deleted,

    -- timestamps
    links.deleted_at
from links
left join campaigns using (account, campaign_id)

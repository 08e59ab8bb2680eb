with
    links as (select * from {{ ref("stg_activecampaign__campaign_links") }}),

    campaigns as (select * from {{ ref("stg_activecampaign__campaigns") }}),

    hits as (
        select
            account,
            hits.contact_id,
            hits.campaign_id,
            hits.hits,
            hits.recorded_at,
            case
                when hits.read_code = 2
                then 'machine open'
                when hits.read_code = 1 or coalesce(links.is_open_pixel, false)
                then 'open'
                else 'click'
            end as kind
        from {{ ref("stg_activecampaign__link_data") }} as hits
        left join links using (account, link_id)
    ),

    events as (
        select
            account,
            contact_id,
            campaign_id,
            1 as hits,
            sent_at as happened_at,
            'send' as kind
        from {{ ref("stg_activecampaign__send_logs") }}
        where is_successful
        union all
        select account, contact_id, campaign_id, hits, recorded_at as happened_at, kind
        from hits
        union all
        select
            account,
            contact_id,
            campaign_id,
            hits,
            recorded_at as happened_at,
            'machine open' as kind
        from {{ ref("stg_activecampaign__mpp_link_data") }}
    ),

    counted as (
        select
            account,
            contact_id,
            campaign_id,
            coalesce(
                cast(sum(hits) filter (where kind = 'send') as bigint), 0
            ) as sends,
            coalesce(
                cast(sum(hits) filter (where kind = 'open') as bigint), 0
            ) as opens,
            coalesce(
                cast(sum(hits) filter (where kind = 'machine open') as bigint), 0
            ) as machine_opens,
            coalesce(
                cast(sum(hits) filter (where kind = 'click') as bigint), 0
            ) as clicks,
            max(happened_at) filter (where kind = 'send') as last_sent_at,
            min(happened_at) filter (where kind = 'open') as first_opened_at,
            max(happened_at) filter (where kind = 'open') as last_opened_at,
            min(happened_at) filter (where kind = 'click') as first_clicked_at,
            max(happened_at) filter (where kind = 'click') as last_clicked_at
        from events
        where contact_id is not null and campaign_id is not null
        group by all
    )

select
    -- ids
    account,
    counted.contact_id,
    campaign_id,

    -- strings
    campaigns.campaign,

    -- numerics
    counted.sends,
    counted.opens,
    counted.machine_opens,
    counted.clicks,

    -- booleans
    counted.opens > 0 as is_opened,
    counted.machine_opens > 0 as is_machine_opened,
    counted.clicks > 0 as is_clicked,
    coalesce(campaigns.is_deleted, true) as is_campaign_missing,

    -- timestamps
    counted.last_sent_at,
    counted.first_opened_at,
    counted.last_opened_at,
    counted.first_clicked_at,
    counted.last_clicked_at
from counted
left join campaigns using (account, campaign_id)

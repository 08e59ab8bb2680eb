with
    campaigns as (select * from {{ ref("stg_activecampaign__campaigns") }}),

    events as (select * from {{ ref("int_emails__events") }}),

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
    {{ local_hour("counted.first_opened_at") }} as first_opened_hour,

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

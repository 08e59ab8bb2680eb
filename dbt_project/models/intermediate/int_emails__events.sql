with
    links as (select * from {{ ref("stg_activecampaign__campaign_links") }}),

    loads as (
        select
            account,
            hits.link_data_id,
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
            'send' as log,
            send_log_id as event_id,
            contact_id,
            campaign_id,
            'send' as kind,
            1 as hits,
            sent_at as happened_at
        from {{ ref("stg_activecampaign__send_logs") }}
        where is_successful
        union all
        select
            account,
            'link' as log,
            link_data_id as event_id,
            contact_id,
            campaign_id,
            kind,
            hits,
            recorded_at as happened_at
        from loads
        union all
        select
            account,
            'machine' as log,
            mpp_link_data_id as event_id,
            contact_id,
            campaign_id,
            'machine open' as kind,
            hits,
            recorded_at as happened_at
        from {{ ref("stg_activecampaign__mpp_link_data") }}
    )

select *
from events
where contact_id is not null and campaign_id is not null

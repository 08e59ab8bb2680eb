{{ config(materialized="view") }}

with
    memberships as (
        select *
        from {{ ref("list_memberships") }}
        where status in ('subscribed', 'unsubscribed')
    ),

    events as (
        select account, contact_id, campaign_id, campaign, kind, happened_at
        from {{ ref("int_emails__events") }}
        left join
            {{ ref("stg_activecampaign__campaigns") }} using (account, campaign_id)
        where kind in ('click', 'open')
    ),

    entries as (
        select account, contact_id, automation_id, automation, entered_at
        from {{ ref("stg_activecampaign__contact_automations") }}
        left join
            {{ ref("stg_activecampaign__automations") }} using (account, automation_id)
    ),

    combined as (
        select
            account,
            contact_id,
            form_id as touch_id,
            'form' as touch_type,
            form as touch,
            subscribed_at as touched_at
        from memberships
        union all
        select
            account,
            contact_id,
            campaign_id as touch_id,
            'campaign ' || kind as touch_type,
            campaign as touch,
            happened_at as touched_at
        from events
        union all
        select
            account,
            contact_id,
            list_id as touch_id,
            'list' as touch_type,
            list as touch,
            subscribed_at as touched_at
        from memberships
        union all
        select
            account,
            contact_id,
            tag_id as touch_id,
            'tag' as touch_type,
            tag as touch,
            tagged_at as touched_at
        from {{ ref("contact_tags") }}
        union all
        select
            account,
            contact_id,
            automation_id as touch_id,
            'automation' as touch_type,
            automation as touch,
            entered_at as touched_at
        from entries
    )

-- two links of a campaign that were clicked at the same instant are one touch
select distinct
    -- ids
    account,
    contact_id,
    touch_id,

    -- strings
    touch_type,
    touch,

    -- timestamps
    touched_at,
    {{ local_date("touched_at") }} as touched_date,
    {{ local_month("touched_at") }} as touched_month
from combined
where touch_id is not null and touched_at is not null

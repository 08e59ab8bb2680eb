with
    memberships as (select * from {{ ref("stg_activecampaign__contact_lists") }}),

    lists as (select * from {{ ref("stg_activecampaign__lists") }}),

    forms as (select * from {{ ref("stg_activecampaign__forms") }}),

    campaigns as (select * from {{ ref("stg_activecampaign__campaigns") }})

select
    -- ids
    account,
    memberships.contact_id,
    list_id,
    form_id,
    campaign_id,
    memberships.unsubscribe_automation_id,

    -- strings
    lists.list,
    coalesce(memberships.channel, lists.channel) as channel,
    memberships.status,
    memberships.unsubscribe_reason,
    forms.form,
    campaigns.campaign,

    -- numerics
    memberships.status_code,
    memberships.source_code,
    case
        when memberships.status = 'unsubscribed'
        then
            {{
                days_between(
                    "memberships.subscribed_at", "memberships.unsubscribed_at"
                )
            }}
    end as days_to_unsubscribe,

    -- booleans
    memberships.status = 'subscribed' and not memberships.is_deleted as is_subscribed,
    coalesce(lists.is_deleted, true) as is_list_missing,
    memberships.is_deleted,

    -- timestamps
    memberships.subscribed_at,
    memberships.unsubscribed_at,
    memberships.deleted_at,
    {{ local_date("memberships.subscribed_at") }} as subscribed_date,
    {{ local_month("memberships.subscribed_at") }} as subscribed_month,
    {{ local_date("memberships.unsubscribed_at") }} as unsubscribed_date,
    {{ local_month("memberships.unsubscribed_at") }} as unsubscribed_month
from memberships
left join lists using (account, list_id)
left join forms using (account, form_id)
left join campaigns using (account, campaign_id)

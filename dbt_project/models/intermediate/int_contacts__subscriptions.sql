with
    lists as (select * from {{ ref("stg_activecampaign__lists") }}),

    memberships as (
        select
            account,
            memberships.contact_id,
            memberships.status,
            memberships.form_id,
            memberships.subscribed_at,
            -- older responses do not say it of the membership
            coalesce(memberships.channel, lists.channel)
            is distinct from 'sms' as is_for_mail
        from {{ ref("stg_activecampaign__contact_lists") }} as memberships
        left join lists using (account, list_id)
        where not memberships.is_deleted
    )

-- one list that may be written to is enough
select
    account,
    contact_id,
    count(*) filter (where is_for_mail and status = 'subscribed') as subscribed_lists,
    case
        when bool_or(is_for_mail and status = 'subscribed')
        then 'subscribed'
        when bool_or(is_for_mail and status = 'unconfirmed')
        then 'unconfirmed'
        when bool_or(is_for_mail and status = 'bounced')
        then 'bounced'
        when bool_or(is_for_mail and status = 'unsubscribed')
        then 'unsubscribed'
    end as status,
    max(subscribed_at) filter (where form_id is not null) as last_form_at
from memberships
group by account, contact_id

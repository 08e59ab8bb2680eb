with
    memberships as (
        select *
        from {{ ref("stg_activecampaign__contact_lists") }}
        where not is_deleted and channel is distinct from 'sms'
    )

-- one list that may be written to is enough
select
    account,
    contact_id,
    count(*) filter (where status = 'subscribed') as subscribed_lists,
    case
        when bool_or(status = 'subscribed')
        then 'subscribed'
        when bool_or(status = 'unconfirmed')
        then 'unconfirmed'
        when bool_or(status = 'bounced')
        then 'bounced'
        when bool_or(status = 'unsubscribed')
        then 'unsubscribed'
    end as status
from memberships
group by account, contact_id

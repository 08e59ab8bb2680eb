with
    links as (
        select *
        from {{ ref("stg_activecampaign__campaign_messages") }}
        where not is_deleted and campaign_id is not null
    ),

    messages as (select * from {{ ref("stg_activecampaign__messages") }}),

    first_messages as (
        select
            account,
            links.campaign_id,
            count(*) as messages,
            arg_min(coalesce(links.subject, messages.subject), message_id) as subject,
            arg_min(messages.sender, message_id) as sender,
            arg_min(messages.sender_email, message_id) as sender_email
        from links
        left join messages using (account, message_id)
        group by account, links.campaign_id
    )

select *
from first_messages

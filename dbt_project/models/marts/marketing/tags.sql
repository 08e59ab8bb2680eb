with
    tags as (select * from {{ ref("stg_activecampaign__tags") }}),

    contact_tags as (select * from {{ ref("contact_tags") }} where not is_deleted),

    contacts as (select * from {{ ref("contacts") }}),

    counted as (
        select
            account,
            contact_tags.tag_id,
            count(*) as contacts,
            count(*) filter (where contacts.open_deals > 0) as contacts_with_open_deals,
            count(*) filter (where contacts.won_deals > 0) as contacts_with_won_deals,
            count(*) filter (where contacts.lost_deals > 0) as contacts_with_lost_deals,
            cast(sum(contacts.open_deals) as bigint) as open_deals,
            cast(sum(contacts.won_deals) as bigint) as won_deals,
            cast(sum(contacts.lost_deals) as bigint) as lost_deals,
            min(contact_tags.tagged_at) as first_tagged_at,
            max(contact_tags.tagged_at) as last_tagged_at
        from contact_tags
        left join contacts using (account, contact_id)
        where contacts.is_deleted is not true
        group by all
    )

select
    -- ids
    account,
    tag_id,

    -- strings
    tags.tag,
    tags.tag_type,

    -- numerics
    coalesce(counted.contacts, 0) as contacts,
    coalesce(counted.contacts_with_open_deals, 0) as contacts_with_open_deals,
    coalesce(counted.contacts_with_won_deals, 0) as contacts_with_won_deals,
    coalesce(counted.contacts_with_lost_deals, 0) as contacts_with_lost_deals,
    coalesce(counted.open_deals, 0) as open_deals,
    coalesce(counted.won_deals, 0) as won_deals,
    coalesce(counted.lost_deals, 0) as lost_deals,
    {{ ratio("counted.won_deals", "counted.won_deals + counted.lost_deals") }}
    as win_rate,

    -- booleans
    coalesce(tags.is_deleted, true) as is_tag_missing,

    -- timestamps
    tags.created_at,
    counted.first_tagged_at,
    counted.last_tagged_at
from tags
full join counted using (account, tag_id)

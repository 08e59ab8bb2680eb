with
    deals as (select * from {{ ref("deals") }}),

    contacts as (select * from {{ ref("contacts") }} where not is_deleted),

    roles as (select * from {{ ref("stg_activecampaign__deal_roles") }}),

    primary_contacts as (
        select account, deal_id, contact_id from deals where contact_id is not null
    ),

    -- a contact who was taken from a deal and added again counts once
    further_contacts as (
        select *
        from {{ ref("stg_activecampaign__contact_deals") }}
        where deal_id is not null and contact_id is not null
        qualify
            row_number() over (
                partition by account, deal_id, contact_id
                order by is_deleted, contact_deal_id desc
            )
            = 1
    ),

    joined as (
        select
            account,
            deal_id,
            contact_id,
            further_contacts.role_id,
            primary_contacts.contact_id is not null as is_primary,
            further_contacts.is_deleted as is_removed,
            further_contacts.created_at as added_at
        from primary_contacts
        full join further_contacts using (account, deal_id, contact_id)
    ),

    described as (
        select
            -- ids
            account,
            deal_id,
            contact_id,
            role_id,

            -- strings
            deals.title,
            deals.status,
            contacts.full_name as contact,
            contacts.email as contact_email,
            roles.role,

            -- booleans
            joined.is_primary,
            contacts.contact_id is null as is_contact_missing,
            coalesce(deals.is_deleted, true)
            or (not joined.is_primary and joined.is_removed) as is_deleted,

            -- timestamps
            joined.added_at
        from joined
        left join
            (select * exclude (contact_id) from deals) as deals using (account, deal_id)
        left join contacts using (account, contact_id)
        left join roles using (account, role_id)
    )

select *
from described

with
    links as (select * from {{ ref("stg_activecampaign__account_contacts") }}),

    companies as (select * from {{ ref("stg_activecampaign__accounts") }}),

    contacts as (select * from {{ ref("contacts") }} where not is_deleted),

    described as (
        select
            -- ids
            account,
            links.account_contact_id,
            company_id,
            contact_id,

            -- strings
            companies.company,
            contacts.full_name as contact,
            contacts.email as contact_email,
            links.job_title,

            -- booleans
            companies.company_id is null or companies.is_deleted as is_company_missing,
            contacts.contact_id is null as is_contact_missing,
            links.is_deleted,

            -- timestamps
            links.created_at,
            links.updated_at,
            links.deleted_at
        from links
        left join companies using (account, company_id)
        left join contacts using (account, contact_id)
    )

select *
from described

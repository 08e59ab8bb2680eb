with
    companies as (select * from {{ ref("int_companies__known") }}),

    company_contacts as (
        select *
        from {{ ref("company_contacts") }}
        where not is_deleted and not is_contact_missing
    ),

    -- what was won or lost is worth what it was then, in the currency of then
    deals as (
        select * replace ({{ as_of_decision(["currency", "value"]) }})
        from {{ ref("deals") }}
        where is_counted
    ),

    owners as (
        select account, user_id as owner_id, full_name as owner
        from {{ ref("int_users__known") }}
    ),

    contact_counts as (
        select account, company_id, count(distinct contact_id) as contacts
        from company_contacts
        group by all
    ),

    deal_counts as (
        select
            account,
            company_id,
            coalesce(currency, 'unknown') as currency,
            count(*) as deals,
            count(*) filter (where status = 'open') as open_deals,
            count(*) filter (where status = 'won') as won_deals,
            count(*) filter (where status = 'lost') as lost_deals,
            coalesce(sum(value) filter (where status = 'open'), 0) as open_value,
            coalesce(sum(value) filter (where status = 'won'), 0) as won_value,
            coalesce(sum(value) filter (where status = 'lost'), 0) as lost_value,
            max(updated_at) as last_deal_updated_at
        from deals
        group by all
    ),

    -- a company without deals has one row, or none if it is gone
    joined as (
        select
            -- ids
            account,
            company_id,
            owner_id,

            -- strings
            coalesce(deal_counts.currency, 'unknown') as currency,
            companies.company,
            companies.website,
            owners.owner,

            -- numerics
            coalesce(contact_counts.contacts, 0) as contacts,
            coalesce(deal_counts.deals, 0) as deals,
            coalesce(deal_counts.open_deals, 0) as open_deals,
            coalesce(deal_counts.won_deals, 0) as won_deals,
            coalesce(deal_counts.lost_deals, 0) as lost_deals,
            coalesce(deal_counts.open_value, 0) as open_value,
            coalesce(deal_counts.won_value, 0) as won_value,
            coalesce(deal_counts.lost_value, 0) as lost_value,
            {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
            {{ ratio("won_value", "won_value + lost_value") }} as win_rate_by_value,

            -- booleans
            companies.is_company_missing as is_deleted,

            -- timestamps
            companies.created_at,
            companies.updated_at,
            deal_counts.last_deal_updated_at,
            companies.deleted_at
        from companies
        left join contact_counts using (account, company_id)
        left join deal_counts using (account, company_id)
        left join owners using (account, owner_id)
        where deal_counts.deals > 0 or not companies.is_company_missing
    )

select *
from joined

-- Built for the contacts whose `fingerprint` has changed, otherwise left as it is.
-- After a
-- change of this SQL build it anew:
-- `dbt build --full-refresh --select int_contacts__deal_totals+`.
{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "contact_id"],
        on_schema_change="append_new_columns",
        post_hook="{{ delete_emptied('fingerprint') }}",
    )
}}

with
    deals as not materialized(
        select *
        from {{ ref("int_deals__described") }}
        where contact_id is not null and is_counted
    ),

    fingerprints as (
        select account, contact_id, bit_xor(hash(deal_id, row_version)) as fingerprint
        from deals
        group by account, contact_id
    ),

    due_contacts as (
        {{ due("fingerprints", ["account", "contact_id"], "fingerprint") }}
    ),

    -- what was won is worth what it was then, in the currency of then
    per_currency as (
        select
            account,
            contact_id,
            {{ as_of_decision(["currency"]) }},
            count(*) as deals,
            count(*) filter (where status = 'open') as open_deals,
            count(*) filter (where status = 'won') as won_deals,
            count(*) filter (where status = 'lost') as lost_deals,
            sum(value) filter (where status = 'open') as open_value,
            sum(closed_value) filter (where status = 'won') as won_value,
            max(updated_at) as last_deal_updated_at
        from deals
        semi join due_contacts using (account, contact_id)
        group by 1, 2, 3
    ),

    listed as (
        select
            account,
            contact_id,
            list(
                {'deal_id':deal_id, 'status':status, 'value':value, 'currency':currency}
                order by created_at, deal_id
            ) as deal_list
        from deals
        semi join due_contacts using (account, contact_id)
        group by account, contact_id
    ),

    per_contact as (
        select
            account,
            contact_id,
            cast(sum(deals) as bigint) as deals,
            cast(sum(open_deals) as bigint) as open_deals,
            cast(sum(won_deals) as bigint) as won_deals,
            cast(sum(lost_deals) as bigint) as lost_deals,
            map_from_entries(
                list((currency, open_value) order by currency) filter (
                    where open_value is not null and currency is not null
                )
            ) as open_value_by_currency,
            map_from_entries(
                list((currency, won_value) order by currency) filter (
                    where won_value is not null and currency is not null
                )
            ) as won_value_by_currency,
            max(last_deal_updated_at) as last_deal_updated_at
        from per_currency
        group by account, contact_id
    )

select
    account,
    contact_id,
    per_contact.* exclude (account, contact_id),
    listed.deal_list,
    due_contacts.fingerprint
from due_contacts
left join per_contact using (account, contact_id)
left join listed using (account, contact_id)

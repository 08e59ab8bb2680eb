{%- set last_sync = "cast('" ~ last_synced_at() ~ "' as timestamptz)" %}

with
    currencies as (select * from {{ ref("currency_decimals") }}),

    -- What an amount is worth is no history: the seed may be corrected. Stamps that
    -- are later than the last sync are of a clock that was ahead.
    versions as (
        select
            account,
            deal_id,
            greatest(
                least(observed_at, dbt_valid_from, {{ last_sync }}),
                least(coalesce(updated_at, observed_at), {{ last_sync }})
            ) as known_at,
            not is_hidden and not is_deleted as is_in_full,
            dbt_valid_to is null as is_present,
            if(
                greatest(dbt_valid_from, dbt_valid_to) > {{ last_sync }},
                hash(dbt_valid_from, dbt_valid_to, value_minor_units, decimals, true),
                hash(dbt_valid_from, dbt_valid_to, value_minor_units, decimals)
            ) as fingerprint
        from {{ ref("deals_snapshot") }}
        left join currencies using (currency)
    ),

    -- versions are added and ended, but never rewritten
    seen as (
        select
            account,
            deal_id,
            bit_xor(fingerprint) as versions_seen,
            case
                when bool_or(is_present and is_in_full)
                then greatest({{ synced_at("deals", "account") }}, max(known_at))
                else max(known_at) filter (where is_in_full)
            end as known_until
        from versions
        group by account, deal_id
    ),

    -- an activity that is later than what is known of the deal waits until a sync
    -- sees it
    told as (
        select account, deal_id, bit_xor(hash(activities)) as activities_told
        from {{ ref("int_deals__activities") }} as activities
        inner join seen using (account, deal_id)
        where changed_at <= known_until
        group by account, deal_id
    )

select
    account,
    deal_id,
    seen.known_until,
    hash(seen.versions_seen, told.activities_told) as history_version
from seen
left join told using (account, deal_id)

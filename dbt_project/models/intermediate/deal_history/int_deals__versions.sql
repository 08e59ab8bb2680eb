-- Built for the deals whose `history_version` has changed, all their rows at a time.
-- After a change of this SQL build it anew:
-- `dbt build --full-refresh --select int_deals__versions+`.
{%- set last_sync = "cast('" ~ last_synced_at() ~ "' as timestamptz)" %}

with
    histories as (select * from {{ ref("int_deals__histories") }}),

    due_deals as ({{ due("histories", ["account", "deal_id"], "history_version") }}),

    versions as (
        select
            versions.* replace (
                least(observed_at, dbt_valid_from, {{ last_sync }}) as observed_at
            ),
            is_hidden and coalesce(updated_at, created_at) is null as is_stub,
            lag(is_hidden) over (
                partition by account, deal_id order by dbt_valid_from
            ) as was_hidden
        from {{ ref("deals_snapshot") }} as versions
        semi join due_deals using (account, deal_id)
    ),

    -- stubs tell nothing that the full record does not tell better
    telling as (
        select
            *,
            (
                owner_id, pipeline_id, stage_id, status, currency, value_minor_units
            ) as content
        from versions
        qualify not is_stub or bool_and(is_stub) over (partition by account, deal_id)
    ),

    compared as (
        select
            *,
            row_number() over in_order as version,
            lag(updated_at) over in_order as previous_updated_at,
            content is not distinct from lag(content) over in_order as is_same_content,
            lead(updated_at) over in_order as next_updated_at,
            lead(dbt_valid_from) over in_order as next_valid_from,
            max(
                greatest(
                    observed_at,
                    least(coalesce(updated_at, observed_at), {{ last_sync }})
                )
            ) over (in_order rows unbounded preceding) as known_at
        from telling
        window in_order as (partition by account, deal_id order by dbt_valid_from)
    )

select
    account,
    deal_id,
    compared.* exclude (account, deal_id, content, dbt_scd_id, dbt_updated_at),
    due_deals.known_until,
    due_deals.history_version
from due_deals
left join compared using (account, deal_id)

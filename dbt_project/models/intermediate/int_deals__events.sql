{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "deal_id"],
        on_schema_change="append_new_columns",
        post_hook="{{ delete_emptied('history_version') }}",
    )
}}

{%- set last_sync = "cast('" ~ last_synced_at() ~ "' as timestamptz)" %}

with
    -- What an amount is worth is no history: the seed may be corrected. Stamps that
    -- are later than the last sync are of a clock that was ahead.
    snapshots as (
        select
            versions.* replace (
                least(observed_at, dbt_valid_from, {{ last_sync }}) as observed_at
            ),
            greatest(dbt_valid_from, dbt_valid_to) > {{ last_sync }} as is_ahead,
            {{ currency_units("versions.value_minor_units", "currencies.decimals") }}
            as value
        from {{ ref("deals_snapshot") }} as versions
        left join {{ ref("currency_decimals") }} as currencies using (currency)
    ),

    -- versions are added and ended, but never rewritten
    histories as (
        select
            account,
            deal_id,
            bit_xor(
                if(
                    is_ahead,
                    hash(dbt_valid_from, dbt_valid_to, value, is_ahead),
                    hash(dbt_valid_from, dbt_valid_to, value)
                )
            ) as history_version
        from snapshots
        group by account, deal_id
    ),

    due_deals as ({{ due("histories", ["account", "deal_id"], "history_version") }}),

    versions as (
        select
            *,
            is_hidden and coalesce(updated_at, created_at) is null as is_stub,
            lag(is_hidden) over (
                partition by account, deal_id order by dbt_valid_from
            ) as was_hidden
        from snapshots
        semi join due_deals using (account, deal_id)
    ),

    -- stubs tell nothing that the full record does not tell better
    telling as (
        select *
        from versions
        qualify not is_stub or bool_and(is_stub) over (partition by account, deal_id)
    ),

    numbered as (
        select
            *,
            row_number() over newest_last as version,
            lag(updated_at) over newest_last as previous_updated_at,
            (
                owner_id,
                pipeline_id,
                stage_id,
                status,
                currency,
                value
            ) is not distinct from lag(
                (owner_id, pipeline_id, stage_id, status, currency, value)
            ) over newest_last as is_content_unchanged,
            lead(updated_at) over newest_last as next_updated_at,
            lead(dbt_valid_from) over newest_last as next_valid_from
        from telling
        window newest_last as (partition by account, deal_id order by dbt_valid_from)
    ),

    -- What is known of a deal's time before the first sync: it was created, it was
    -- open until it
    -- was decided, and the decision is not later than the last modification.
    creations as (
        select
            * exclude (status, is_hidden, is_deleted),
            case when status is not null then 'open' end as status,
            is_stub as is_hidden,
            false as is_deleted,
            0 as step,
            coalesce(least(created_at, observed_at), observed_at) as starts_at,
            coalesce(
                updated_at <= created_at + interval 1 minute, false
            ) as is_start_known
        from numbered
        where version = 1
    ),

    first_decisions as (
        select
            * exclude (is_hidden, is_deleted),
            is_stub as is_hidden,
            false as is_deleted,
            1 as step,
            least(coalesce(updated_at, observed_at), observed_at) as starts_at,
            coalesce(
                updated_at <= created_at + interval 1 minute, false
            ) as is_start_known
        from numbered
        where version = 1 and status in ('won', 'lost')
    ),

    first_losses as (
        select *, 2 as step, observed_at as starts_at, true as is_start_known
        from numbered
        where version = 1 and (is_deleted or (is_hidden and not is_stub))
    ),

    -- A change that was noticed between two syncs: the deal's own stamp tells when,
    -- unless it did not move, as when a deal is hidden or deleted, or moved for
    -- something else. A stub has no stamp. A deal that is seen again may have changed
    -- before a sync found it hidden.
    changes as (
        select
            *,
            3 as step,
            case
                when is_deleted
                then observed_at
                when
                    updated_at > previous_updated_at
                    and not (is_hidden and is_content_unchanged)
                then least(updated_at, observed_at)
                when is_hidden and next_updated_at > updated_at
                then least(next_updated_at, observed_at)
                else observed_at
            end as starts_at,
            previous_updated_at is not null or is_deleted as is_start_known
        from numbered
        where version > 1
    ),

    -- Rows that left the table altogether, as they do when deals are synced as a full
    -- table.
    vanishings as (
        select
            * exclude (is_deleted),
            true as is_deleted,
            4 as step,
            least(dbt_valid_to, {{ last_sync }}) as starts_at,
            true as is_start_known
        from numbered
        where
            not is_deleted
            and dbt_valid_to is not null
            and (next_valid_from is null or next_valid_from > dbt_valid_to)
    ),

    -- Older history, such as an account's log of deal activities, would be one more
    -- table here.
    gathered as (
        select *
        from creations
        union all by name
        select *
        from first_decisions
        union all by name
        select *
        from first_losses
        union all by name
        select *
        from changes
        union all by name
        select *
        from vanishings
    ),

    ordered as (
        select
            * exclude (starts_at),
            row_number() over in_order as event_number,
            max(starts_at) over (in_order rows unbounded preceding) as starts_at
        from gathered
        window in_order as (partition by account, deal_id order by version, step)
    ),

    ended as (
        select
            account,
            deal_id,
            event_number,
            owner_id,
            pipeline_id,
            stage_id,
            status,
            currency,
            value,
            is_hidden,
            is_deleted,
            is_start_known,
            {{ is_counted() }} as is_counted,
            created_at,
            observed_at,
            starts_at,
            greatest(
                starts_at, case when was_hidden then observed_at end
            ) as visible_from,
            lead(starts_at) over (
                partition by account, deal_id order by event_number
            ) as ends_at
        from ordered
    )

select account, deal_id, ended.* exclude (account, deal_id), due_deals.history_version
from due_deals
left join ended using (account, deal_id)

-- Built for the deals whose `history_version` has changed, all their rows at a time.
-- After a change of this SQL build it anew:
-- `dbt build --full-refresh --select int_deals__observations+`.
{%- set last_sync = "cast('" ~ last_synced_at() ~ "' as timestamptz)" %}

with
    versions as not materialized(select * from {{ ref("int_deals__versions") }}),

    histories as (select distinct account, deal_id, history_version from versions),

    due_deals as ({{ due("histories", ["account", "deal_id"], "history_version") }}),

    -- Of the time before the first sync it is known that a deal was created, that it
    -- was open until it was decided, and that it was decided before its last
    -- modification. Rows leave the table where deals are synced as a full table.
    steps as (
        select *
        from versions
        semi join due_deals using (account, deal_id)
        cross join
            (
                values
                    (1, 'created'),
                    (2, 'decided'),
                    (3, 'lost sight of'),
                    (4, 'changed'),
                    (5, 'vanished'),
                    (6, 'confirmed')
            ) as kinds(step, kind)
        where
            case
                kind
                when 'created'
                then version = 1
                when 'decided'
                then version = 1 and status in ('won', 'lost')
                when 'lost sight of'
                then version = 1 and (is_deleted or (is_hidden and not is_stub))
                when 'changed'
                then version > 1
                when 'vanished'
                then
                    not is_deleted
                    and dbt_valid_to is not null
                    and coalesce(next_valid_from > dbt_valid_to, true)
                when 'confirmed'
                then dbt_valid_to is null and not is_hidden and not is_deleted
            end
    ),

    -- A change that was noticed between two syncs: the deal's own stamp tells when,
    -- unless it did not move, as when a deal is hidden or deleted. A deal that is seen
    -- again may have changed before a sync found it hidden.
    timed as (
        select
            * replace (
                if(kind = 'created' and status is not null, 'open', status) as status,
                if(version = 1 and step < 3, is_stub, is_hidden) as is_hidden,
                if(
                    version = 1 and step < 3, false, is_deleted or kind = 'vanished'
                ) as is_deleted
            ),
            status in ('won', 'lost') as is_decided,
            case
                when kind = 'created'
                then coalesce(least(created_at, observed_at), observed_at)
                when kind = 'decided'
                then least(coalesce(updated_at, observed_at), observed_at)
                when kind = 'vanished'
                then least(dbt_valid_to, {{ last_sync }})
                when kind <> 'changed' or is_deleted
                then observed_at
                when
                    updated_at > previous_updated_at
                    and not (is_hidden and is_same_content)
                then least(updated_at, observed_at)
                when is_hidden and next_updated_at > updated_at
                then least(next_updated_at, observed_at)
                else observed_at
            end as starts_at,
            case
                when kind in ('created', 'decided')
                then coalesce(updated_at <= created_at + interval 1 minute, false)
                when kind = 'changed'
                then previous_updated_at is not null or is_deleted
                else kind <> 'confirmed'
            end as is_start_known
        from steps
    )

select
    account,
    deal_id,
    row_number() over in_order as observation_number,
    kind,
    owner_id,
    pipeline_id,
    stage_id,
    status,
    currency,
    value_minor_units,
    is_hidden,
    is_deleted,
    is_decided,
    is_same_content,
    is_start_known,
    created_at,
    updated_at,
    observed_at,
    case when was_hidden then observed_at end as visible_from,
    if(kind = 'confirmed', known_until, known_at) as known_at,
    max(starts_at) over (in_order rows unbounded preceding) as starts_at,
    known_until,
    due_deals.history_version
from due_deals
left join timed using (account, deal_id)
window in_order as (partition by account, deal_id order by version, step)

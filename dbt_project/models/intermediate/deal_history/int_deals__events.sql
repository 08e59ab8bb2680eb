-- Built for the deals whose `history_version` has changed, all their rows at a time.
-- After a change of this SQL build it anew:
-- `dbt build --full-refresh --select int_deals__events+`.
with
    observations as (select * from {{ ref("int_deals__observations") }}),

    histories as (
        select account, deal_id, starts_at as first_at, history_version
        from observations
        where kind = 'created'
    ),

    due_deals as ({{ due("histories", ["account", "deal_id"], "history_version") }}),

    changes as (
        select
            * replace (greatest(starts_at, first_at) as starts_at),
            attribute as source,
            change_number as place
        from {{ ref("int_deals__changes") }}
        inner join due_deals using (account, deal_id)
    ),

    -- whatever else a deal is, only syncs tell
    sightings as (
        select
            observations as others,
            account,
            deal_id,
            starts_at,
            'sync' as source,
            observation_number as place,
            observed_at,
            visible_from,
            if(kind = 'created', null, is_start_known) as is_start_known
        from observations
        semi join due_deals using (account, deal_id)
        where kind not in ('decided', 'confirmed')
    ),

    -- the state after each of them: the last that is told of each attribute
    filled as (
        select
            * replace (last_value(others ignore nulls) over so_far as others),
            {% for attribute in ["pipeline", "stage", "status", "value"] %}
                last_value(
                    if(source = '{{ attribute }}', {'id':value}, null) ignore nulls
                ) over so_far as "{{ attribute }}_then",
            {% endfor %}
        from
            (
                from changes
                union all by name
                from sightings
            )
        window
            so_far as (
                partition by account, deal_id
                order by starts_at, place, source
                rows unbounded preceding
            )
    ),

    moments as (
        select
            * replace (
                coalesce(
                    bool_and(is_start_known) filter (
                        where source <> 'value'
                    ) over moment,
                    true
                ) as is_start_known,
                max(changed_by_id) filter (where source <> 'value') over moment
                as changed_by_id,
                max(observed_at) over moment as observed_at,
                max(visible_from) over moment as visible_from
            )
        from filled
        window moment as (partition by account, deal_id, starts_at)
        qualify
            row_number() over (
                partition by account, deal_id, starts_at
                order by place desc, source desc
            )
            = 1
    )

select
    account,
    deal_id,
    row_number() over in_order as event_number,
    others.owner_id as owner_id,
    pipeline_then.id as pipeline_id,
    stage_then.id as stage_id,
    ['open', 'won', 'lost'][status_then.id + 1] as status,
    others.currency as currency,
    {{ currency_units("value_then.id", "currencies.decimals") }} as value,
    others.is_hidden as is_hidden,
    others.is_deleted as is_deleted,
    others.created_at as created_at,
    others.updated_at as updated_at,
    is_start_known,
    {{ is_counted() }} as is_counted,
    changed_by_id,
    coalesce(moments.observed_at, seen.observed_at) as observed_at,
    starts_at,
    greatest(starts_at, visible_from) as visible_from,
    lead(starts_at) over in_order as ends_at,
    due_deals.history_version
from due_deals
left join moments using (account, deal_id)
left join
    {{ ref("currency_decimals") }} as currencies
    on moments.others.currency = currencies.currency
asof left join
    (select account, deal_id, known_at, observed_at from observations) as seen
    on moments.account = seen.account
    and moments.deal_id = seen.deal_id
    and moments.starts_at <= seen.known_at
window in_order as (partition by account, deal_id order by starts_at)

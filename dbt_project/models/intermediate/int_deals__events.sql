{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "deal_id"],
        on_schema_change="append_new_columns",
        post_hook="{{ delete_emptied('history_version') }}",
    )
}}

with
    observations as not materialized(
        select * from {{ ref("int_deals__observations") }}
    ),

    histories as (
        select account, deal_id, starts_at as first_at, history_version
        from observations
        where kind = 'created'
    ),

    -- tables that were made before activities were read lack who made a change
    due_deals as (
        {{
            due(
                "histories",
                ["account", "deal_id"],
                "history_version",
                "changed_by_id",
            )
        }}
    ),

    changes as (
        select
            account,
            deal_id,
            greatest(starts_at, first_at) as starts_at,
            change_number as place,
            attribute as source,
            if(attribute = 'pipeline', {'id':changes.value}, null) as pipeline,
            if(attribute = 'stage', {'id':changes.value}, null) as stage,
            if(attribute = 'status', {'id':changes.value}, null) as status,
            if(attribute = 'value', {'id':changes.value}, null) as amount,
            if(attribute = 'value', null, changed_by_id) as changed_by_id,
            if(attribute = 'value', null, is_start_known) as is_start_known
        from {{ ref("int_deals__changes") }} as changes
        inner join due_deals using (account, deal_id)
    ),

    -- whatever else a deal is, only syncs tell
    sightings as (
        select
            account,
            deal_id,
            starts_at,
            observation_number as place,
            'sync' as source,
            {
                'owner_id':owner_id,
                'currency':currency,
                'is_hidden':is_hidden,
                'is_deleted':is_deleted,
                'created_at':created_at,
                'updated_at':updated_at
            } as others,
            observed_at,
            visible_from,
            if(kind = 'created', null, is_start_known) as is_start_known
        from observations
        semi join due_deals using (account, deal_id)
        where kind not in ('decided', 'confirmed')
    ),

    moments as (
        select
            *,
            last_value(pipeline ignore nulls) over so_far as pipeline_then,
            last_value(stage ignore nulls) over so_far as stage_then,
            last_value(status ignore nulls) over so_far as status_then,
            last_value(amount ignore nulls) over so_far as amount_then,
            last_value(others ignore nulls) over so_far as others_then
        from
            (
                select *
                from changes
                union all by name
                select *
                from sightings
            )
        window
            so_far as (
                partition by account, deal_id
                order by starts_at, place, source
                rows unbounded preceding
            )
    ),

    states as (
        select
            account,
            deal_id,
            starts_at,
            others_then.owner_id,
            pipeline_then.id as pipeline_id,
            stage_then.id as stage_id,
            case
                status_then.id when 0 then 'open' when 1 then 'won' when 2 then 'lost'
            end as status,
            others_then.currency,
            amount_then.id as value_minor_units,
            others_then.is_hidden,
            others_then.is_deleted,
            others_then.created_at,
            others_then.updated_at,
            coalesce(bool_and(is_start_known) over moment, true) as is_start_known,
            max(changed_by_id) over moment as changed_by_id,
            max(observed_at) over moment as observed_at,
            max(visible_from) over moment as visible_from
        from moments
        window moment as (partition by account, deal_id, starts_at)
        qualify
            row_number() over (
                partition by account, deal_id, starts_at order by place desc, source desc
            )
            = 1
    )

select
    account,
    deal_id,
    row_number() over in_order as event_number,
    states.owner_id,
    states.pipeline_id,
    states.stage_id,
    states.status,
    currency,
    {{ currency_units("states.value_minor_units", "currencies.decimals") }} as value,
    states.is_hidden,
    states.is_deleted,
    states.is_start_known,
    {{ is_counted("states") }} as is_counted,
    states.changed_by_id,
    states.created_at,
    coalesce(states.observed_at, observations.observed_at) as observed_at,
    states.starts_at,
    greatest(states.starts_at, states.visible_from) as visible_from,
    lead(states.starts_at) over in_order as ends_at,
    due_deals.history_version
from due_deals
left join states using (account, deal_id)
left join {{ ref("currency_decimals") }} as currencies using (currency)
asof left join
    observations
    on states.account = observations.account
    and states.deal_id = observations.deal_id
    and states.starts_at <= observations.known_at
window in_order as (partition by account, deal_id order by states.starts_at)

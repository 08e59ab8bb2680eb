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
    events as (select * from {{ ref("int_deals__events") }}),

    histories as (select distinct account, deal_id, history_version from events),

    -- tables that were made before visits were counted lack their number
    due_deals as (
        {{
            due(
                "histories", ["account", "deal_id"], "history_version", "visit_number"
            )
        }}
    ),

    -- What a deal was while it was hidden is known once it is seen again, and a
    -- decision that was seen stands.
    sighted as (
        select
            * exclude (is_hidden, history_version),
            is_hidden
            and coalesce(status not in ('won', 'lost'), true)
            and event_number > coalesce(
                max(event_number) filter (where not is_hidden) over (
                    partition by account, deal_id
                ),
                0
            ) as is_hidden
        from events
        semi join due_deals using (account, deal_id)
    ),

    compared as (
        select
            *,
            coalesce(
                event_number > 1
                and pipeline_id is not distinct from lag(pipeline_id) over in_order
                and stage_id is not distinct from lag(stage_id) over in_order
                and status is not distinct from lag(status) over in_order
                and is_hidden is not distinct from lag(is_hidden) over in_order
                and is_deleted is not distinct from lag(is_deleted) over in_order,
                false
            ) as is_unchanged
        from sighted
        window in_order as (partition by account, deal_id order by event_number)
    ),

    numbered as (
        select
            *,
            count(*) filter (where not is_unchanged) over (
                partition by account, deal_id
                order by event_number
                rows unbounded preceding
            ) as interval_number
        from compared
    ),

    merged as (
        select
            account,
            deal_id,
            interval_number,
            any_value(pipeline_id) as pipeline_id,
            any_value(stage_id) as stage_id,
            any_value(status) as status,
            any_value(is_hidden) as is_hidden,
            any_value(is_deleted) as is_deleted,
            arg_min(is_start_known, event_number) as is_start_known,
            min(observed_at) as observed_from,
            min(starts_at) as starts_at
        from numbered
        group by account, deal_id, interval_number
    ),

    judged as (
        select
            *,
            coalesce(
                status = 'open'
                and not is_hidden
                and not is_deleted
                and stage_id is not null,
                false
            ) as is_visit
        from merged
    ),

    ended as (
        select
            account,
            deal_id,
            interval_number,
            case
                when is_visit then count(*) filter (where is_visit) over so_far
            end as step_number,
            case
                when is_visit then count(*) filter (where is_visit) over to_stage_so_far
            end as visit_number,
            pipeline_id,
            stage_id,
            status,
            last_value(
                case when not is_deleted then status end ignore nulls
            ) over before as previous_status,
            lead(pipeline_id) over in_order as next_pipeline_id,
            lead(stage_id) over in_order as next_stage_id,
            lead(status) over in_order as next_status,
            is_hidden,
            lead(is_hidden) over in_order as is_next_hidden,
            is_deleted,
            lead(is_deleted) over in_order as is_next_deleted,
            is_start_known,
            lead(is_start_known) over in_order as is_end_known,
            lead(starts_at) over in_order is null as is_current,
            observed_from,
            starts_at,
            lead(starts_at) over in_order as ends_at
        from judged
        window
            in_order as (partition by account, deal_id order by interval_number),
            so_far as (in_order rows unbounded preceding),
            before as (in_order rows between unbounded preceding and 1 preceding),
            to_stage_so_far as (
                partition by account, deal_id, pipeline_id, stage_id
                order by interval_number
                rows unbounded preceding
            )
    )

select account, deal_id, ended.* exclude (account, deal_id), due_deals.history_version
from due_deals
left join ended using (account, deal_id)

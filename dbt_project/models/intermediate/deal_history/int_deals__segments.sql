-- Built for the deals whose `history_version` has changed, all their rows at a time.
-- After a change of this SQL build it anew:
-- `dbt build --full-refresh --select int_deals__segments+`.
with
    events as (select * from {{ ref("int_deals__events") }}),

    histories as (select distinct account, deal_id, history_version from events),

    due_deals as ({{ due("histories", ["account", "deal_id"], "history_version") }}),

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

    numbered as (
        select
            *,
            count(*) filter (where is_changed) over (
                partition by account, deal_id
                order by event_number
                rows unbounded preceding
            ) as interval_number
        from
            (
                select
                    *,
                    (
                        pipeline_id,
                        stage_id,
                        status,
                        is_hidden,
                        is_deleted
                    ) is distinct from lag(
                        (pipeline_id, stage_id, status, is_hidden, is_deleted)
                    ) over (partition by account, deal_id order by event_number)
                    as is_changed
                from sighted
            )
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
            bool_and(
                coalesce(
                    status = 'open'
                    and not is_hidden
                    and not is_deleted
                    and stage_id is not null,
                    false
                )
            ) as is_visit,
            arg_min(owner_id, event_number) as owner_id,
            arg_min(currency, event_number) as currency,
            arg_min(value, event_number) as value,
            arg_min(changed_by_id, event_number) filter (
                where is_changed
            ) as changed_by_id,
            arg_min(is_start_known, event_number) as is_start_known,
            min(observed_at) as observed_from,
            min(starts_at) as starts_at
        from numbered
        group by account, deal_id, interval_number
    )

select account, deal_id, merged.* exclude (account, deal_id), due_deals.history_version
from due_deals
left join merged using (account, deal_id)

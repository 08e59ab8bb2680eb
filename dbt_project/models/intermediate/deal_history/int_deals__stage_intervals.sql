-- Built for the deals whose `history_version` has changed, all their rows at a time.
-- After a change of this SQL build it anew:
-- `dbt build --full-refresh --select int_deals__stage_intervals+`.
with
    segments as (select * from {{ ref("int_deals__segments") }}),

    histories as (select distinct account, deal_id, history_version from segments),

    due_deals as ({{ due("histories", ["account", "deal_id"], "history_version") }}),

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
            owner_id,
            currency,
            value,
            changed_by_id,
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
        from segments
        semi join due_deals using (account, deal_id)
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

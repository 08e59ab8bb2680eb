-- Built for the deals whose `history_version` has changed, all their rows at a time.
-- After a change of this SQL build it anew:
-- `dbt build --full-refresh --select int_deals__changes+`.
with
    histories as (
        select
            account,
            deal_id,
            created_at >= (
                select min(activities.created_at)
                from {{ ref("stg_activecampaign__deal_activities") }} as activities
                where activities.account = observations.account
            ) as is_within_log,
            is_start_known as is_fresh,
            history_version
        from {{ ref("int_deals__observations") }} as observations
        where kind = 'created'
    ),

    due_deals as ({{ due("histories", ["account", "deal_id"], "history_version") }}),

    -- For each attribute of a deal activities tell the value before and after, what
    -- syncs saw tells what it was then. A deal begins as what its first activity
    -- replaced, else as it was first seen; a decided one was open before.
    chained as (
        select
            *,
            row_number() over in_order = 1 as is_first,
            lag(
                new_value,
                1,
                case
                    when attribute <> 'status'
                    then old_value
                    when new_value is not null
                    then if(is_activity, coalesce(old_value, 0), 0)
                end
            ) over in_order as value_before,
            lag(if(is_activity, known_at, null)) over in_order as activity_before_at
        from {{ ref("int_deals__evidence") }}
        semi join due_deals using (account, deal_id)
        window
            in_order as (
                partition by account, deal_id, attribute
                order by known_at, is_activity desc, place
            )
    ),

    compared as (
        select
            *,
            if(is_activity, coalesce(old_value, value_before), new_value)
            is distinct from value_before as is_gap
        from chained
    ),

    -- a log that contradicts nothing tells all that happened to a deal
    logged as (
        select
            *,
            coalesce(
                min(known_at) filter (where is_activity) over of_deal
                <= min(known_at) filter (where is_first_sight) over of_deal,
                false
            )
            and not bool_or(
                attribute <> 'value' and is_gap and (is_activity or is_first_sight)
            ) over of_deal as is_logged
        from compared
        window of_deal as (partition by account, deal_id)
    ),

    -- what a deal began as, what nothing tells how it came about, what an activity
    -- tells
    changes as (
        select
            *,
            if(
                step = 0,
                value_before,
                if(step = 1 and is_activity, old_value, new_value)
            ) as value,
            if(
                step = 0,
                is_fresh or (is_logged and is_within_log and value_before is not null),
                step = 2 or (is_start_known and not is_activity)
            ) as is_known,
            if(
                step = 0,
                null,
                greatest(
                    starts_at - to_microseconds((step = 1 and is_activity)::int),
                    if(step = 1, activity_before_at, null)
                )
            ) as begins_at,
            if(step = 2, changed_by_id, null) as changer_id
        from logged
        inner join due_deals using (account, deal_id)
        cross join (values (0), (1), (2)) as steps(step)
        where case step when 0 then is_first when 1 then is_gap else is_activity end
    )

select
    account,
    deal_id,
    attribute,
    row_number() over (
        partition by account, deal_id, attribute
        order by known_at, is_activity desc, place, step
    ) as change_number,
    changes.value,
    changes.changer_id as changed_by_id,
    changes.is_known as is_start_known,
    changes.begins_at as starts_at,
    due_deals.history_version
from due_deals
left join changes using (account, deal_id)

{{ config(materialized="table") }}

with
    deals as (select * from {{ ref("stg_activecampaign__deals") }} where is_counted),

    listed as (
        select * from {{ ref("int_deal_stages__known") }} where not is_stage_missing
    ),

    orders as (
        select * replace (coalesce(since, timestamptz '-infinity') as since)
        from {{ ref("int_deal_stages__orders") }}
    ),

    -- A deal comes to a stage once, whatever else happens to it there. The stage of a
    -- decided deal counts, too: it was decided there.
    intervals as (
        select *
        from {{ ref("int_deals__stage_intervals") }}
        where not is_deleted and pipeline_id is not null
        qualify
            (pipeline_id, stage_id) is distinct from lag((pipeline_id, stage_id)) over (
                partition by account, deal_id order by interval_number
            )
    ),

    -- a deal that was in a stage before a sync found it is placed as the sync found it
    visits as (
        select
            account,
            deal_id,
            intervals.pipeline_id,
            stage_id as visited_stage_id,
            greatest(intervals.starts_at, found.found_at) as placed_at
        from intervals
        left join
            (select distinct account, stage_id, found_at from orders) as found using (
                account, stage_id
            )
    ),

    placed as (
        select visits.*, changes.since, here.stage_position as visited_position
        from visits
        asof left join
            (select distinct account, pipeline_id, since from orders) as changes
            on visits.account = changes.account
            and visits.pipeline_id = changes.pipeline_id
            and visits.placed_at >= changes.since
        left join
            orders as here
            on visits.account = here.account
            and visits.pipeline_id = here.pipeline_id
            and visits.visited_stage_id = here.stage_id
            and changes.since = here.since
    ),

    -- who got to a stage began in the first one and got to those before it, in the
    -- order of then, whether a sync saw that or not
    passed as (
        select
            account,
            deal_id,
            pipeline_id,
            orders.stage_id,
            orders.stage_id = placed.visited_stage_id as is_visited,
            orders.stage_position < placed.visited_position as is_passed,
            orders.has_next_stage
        from placed
        inner join orders using (account, pipeline_id, since)
        inner join listed using (account, pipeline_id, stage_id)
        where is_visited or is_passed or orders.is_first
    ),

    -- where no stage of then is left, a deal began in the one that is first now
    reached as (
        select *
        from passed
        union all
        select account, deal_id, pipeline_id, listed.stage_id, false, false, null
        from (select distinct account, deal_id, pipeline_id from visits)
        anti join passed using (account, deal_id, pipeline_id)
        inner join listed using (account, pipeline_id)
        where listed.stage_position = 1
    )

select
    account,
    deal_id,
    reached.pipeline_id as pipeline_id,
    stage_id,
    listed.stage_position as stage_position,
    coalesce(bool_or(reached.is_visited), false) as is_visited,
    coalesce(bool_or(reached.is_passed), false) as is_passed,
    bool_or(reached.has_next_stage) as has_next_stage,
    deals.pipeline_id is not distinct from reached.pipeline_id as is_here,
    deals.status as status,
    deals.created_at as created_at
from reached
inner join listed using (account, pipeline_id, stage_id)
inner join deals using (account, deal_id)
group by
    account,
    deal_id,
    reached.pipeline_id,
    stage_id,
    listed.stage_position,
    deals.pipeline_id,
    deals.status,
    deals.created_at

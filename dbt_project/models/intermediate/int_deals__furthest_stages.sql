{{ config(materialized="table") }}

with
    intervals as (select * from {{ ref("int_deals__stage_intervals") }}),

    deals as (select * from {{ ref("stg_activecampaign__deals") }} where is_counted),

    stages as (
        select * from {{ ref("int_deal_stages__known") }} where not is_stage_missing
    ),

    -- every stage of a pipeline with its place in the order, also one that was deleted
    -- or moved to another pipeline since
    places as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            stage_id,
            arg_max(stage_order, dbt_valid_from) as stage_order
        from {{ ref("deal_stages_snapshot") }}
        group by 1, 2, 3
    ),

    listed as (
        select account, pipeline_id, stages.stage_position, places.stage_order, stage_id
        from places
        inner join stages using (account, pipeline_id, stage_id)
    ),

    -- a stage that is not listed any more counts as the last listed one before it, or
    -- as the first one
    positions as (
        select
            account,
            pipeline_id,
            places.stage_id,
            greatest(
                1,
                max(listed.stage_position) filter (
                    where
                        (listed.stage_order, listed.stage_id)
                        <= (places.stage_order, places.stage_id)
                )
            ) as stage_position
        from places
        inner join listed using (account, pipeline_id)
        group by 1, 2, 3
    ),

    -- also the stage of a decided deal counts: it was decided there
    reached as (
        select
            intervals.account,
            intervals.deal_id,
            intervals.pipeline_id,
            max(positions.stage_position) as furthest_position
        from intervals
        inner join
            positions
            on intervals.account = positions.account
            and intervals.pipeline_id = positions.pipeline_id
            and intervals.stage_id = positions.stage_id
        where not intervals.is_deleted
        group by all
    ),

    judged as (
        select
            reached.account,
            reached.deal_id,
            reached.pipeline_id,
            reached.furthest_position,
            deals.status = 'won'
            and deals.pipeline_id = reached.pipeline_id as is_won_here,
            deals.status in ('won', 'lost')
            and deals.pipeline_id = reached.pipeline_id as is_decided_here,
            deals.created_at
        from reached
        inner join
            deals on reached.account = deals.account and reached.deal_id = deals.deal_id
    )

select *
from judged

{{ config(materialized="table") }}

with
    intervals as (select * from {{ ref("int_deals__stage_intervals") }}),

    deals as (select * from {{ ref("stg_activecampaign__deals") }} where is_counted),

    stages as (
        select * from {{ ref("int_deal_stages__known") }} where not is_stage_missing
    ),

    -- also the stage of a decided deal counts: it was decided there
    reached as (
        select
            intervals.account,
            intervals.deal_id,
            intervals.pipeline_id,
            max(stages.stage_position) as furthest_position
        from intervals
        inner join
            stages
            on intervals.account = stages.account
            and intervals.pipeline_id = stages.pipeline_id
            and intervals.stage_id = stages.stage_id
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

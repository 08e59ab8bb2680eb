{{ config(materialized="table") }}

with
    deals as (select * from {{ ref("stg_activecampaign__deals") }} where is_counted),

    listed as (
        select * from {{ ref("int_deal_stages__known") }} where not is_stage_missing
    ),

    -- the order of stages as it was: the first version counts for the time before it
    orders as (
        select
            account,
            stage_id,
            coalesce(pipeline_id, 0) as pipeline_id,
            (stage_order, stage_id) as place,
            coalesce(is_deleted, false) as is_gone,
            lead(dbt_valid_from) over versions as valid_to,
            if(
                row_number() over versions = 1, timestamptz '-infinity', dbt_valid_from
            ) as valid_from
        from {{ ref("deal_stages_snapshot") }}
        window versions as (partition by account, stage_id order by dbt_valid_from)
    ),

    -- also the stage of a decided deal counts: it was decided there
    visits as (
        select distinct
            intervals.account,
            intervals.deal_id,
            intervals.pipeline_id,
            intervals.stage_id,
            intervals.starts_at,
            orders.place
        from {{ ref("int_deals__stage_intervals") }} as intervals
        left join
            orders
            on intervals.account = orders.account
            and intervals.pipeline_id = orders.pipeline_id
            and intervals.stage_id = orders.stage_id
            and intervals.starts_at >= orders.valid_from
            and coalesce(intervals.starts_at < orders.valid_to, true)
        where not intervals.is_deleted and intervals.pipeline_id is not null
    ),

    -- who got to a stage got to those that were before it then, whether a sync saw that
    -- or not
    reached as (
        select
            visits.account,
            visits.deal_id,
            visits.pipeline_id,
            orders.stage_id,
            visits.stage_id = orders.stage_id as is_visited
        from visits
        inner join
            orders
            on visits.account = orders.account
            and visits.pipeline_id = orders.pipeline_id
            and visits.place >= orders.place
            and visits.starts_at >= orders.valid_from
            and coalesce(visits.starts_at < orders.valid_to, true)
        where not orders.is_gone or visits.stage_id = orders.stage_id
        union all
        -- every deal of a pipeline began in it
        select
            visits.account, visits.deal_id, visits.pipeline_id, listed.stage_id, false
        from visits
        inner join
            listed
            on visits.account = listed.account
            and visits.pipeline_id = listed.pipeline_id
        where listed.stage_position = 1
    )

select
    account,
    deal_id,
    reached.pipeline_id as pipeline_id,
    stage_id,
    listed.stage_position as stage_position,
    bool_or(reached.is_visited) as is_visited,
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

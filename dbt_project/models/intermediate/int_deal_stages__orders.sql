{{ config(materialized="table") }}

with
    versions as (
        select *, min(dbt_valid_from) over (partition by account) as first_found_at
        from {{ ref("deal_stages_snapshot") }}
    ),

    listed as (
        select account, pipeline_id, stage_id, true as is_listed
        from {{ ref("int_deal_stages__known") }}
        where not is_stage_missing
    ),

    first_visits as (
        select account, stage_id, min(starts_at) as first_visit_at
        from {{ ref("int_deals__stage_intervals") }}
        where not is_deleted
        group by all
    ),

    -- a stage is there since a sync found it, or since a deal was in it
    dated as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            stage_id,
            stage_order,
            coalesce(is_deleted, false) as is_gone,
            min(dbt_valid_from) over of_stage as found_at,
            if(
                row_number() over of_stage = 1,
                greatest(first_found_at, least(dbt_valid_from, first_visit_at)),
                dbt_valid_from
            ) as valid_from,
            lead(dbt_valid_from) over of_stage as valid_to
        from versions
        left join first_visits using (account, stage_id)
        window of_stage as (partition by account, stage_id order by dbt_valid_from)
    ),

    changes as (select distinct account, pipeline_id, valid_from as since from dated),

    numbered as (
        select
            account,
            pipeline_id,
            stage_id,
            changes.since,
            dated.found_at,
            coalesce(listed.is_listed, false) as is_listed,
            case
                when not dated.is_gone
                then
                    row_number() over (
                        partition by account, pipeline_id, changes.since, dated.is_gone
                        order by dated.stage_order, stage_id
                    )
            end as stage_position
        from changes
        inner join dated using (account, pipeline_id)
        left join listed using (account, pipeline_id, stage_id)
        where
            changes.since >= dated.valid_from
            and coalesce(changes.since < dated.valid_to, true)
    )

select
    account,
    pipeline_id,
    stage_id,
    stage_position,
    coalesce(
        stage_position = min(stage_position) filter (where is_listed) over of_then,
        false
    ) as is_first,
    stage_position < max(stage_position) over of_then as has_next_stage,
    found_at,
    -- the order that was found first counts for the time before it
    nullif(since, min(since) over (partition by account, pipeline_id)) as since
from numbered
window of_then as (partition by account, pipeline_id, since)

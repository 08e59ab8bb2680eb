with
    versions as (select * from {{ ref("deal_stages_snapshot") }}),

    pipelines as (select * from {{ ref("int_pipelines__known") }}),

    latest as (
        select
            * replace (coalesce(pipeline_id, 0) as pipeline_id),
            is_deleted or dbt_valid_to is not null as is_stage_missing
        from versions
        qualify {{ is_latest_version("stage_id") }}
    ),

    -- only stages that are still listed have a place in the order
    positioned as (
        select
            *,
            case
                when not is_stage_missing
                then
                    row_number() over (
                        partition by account, pipeline_id, is_stage_missing
                        order by stage_order, stage_id
                    )
            end as stage_position
        from latest
    ),

    named as (
        select
            account,
            positioned.stage_id,
            pipeline_id,
            positioned.stage,
            pipelines.pipeline,
            pipelines.default_currency,
            positioned.stage_position,
            positioned.is_stage_missing,
            coalesce(pipelines.is_pipeline_missing, true) as is_pipeline_missing
        from positioned
        left join pipelines using (account, pipeline_id)
    )

select *
from named

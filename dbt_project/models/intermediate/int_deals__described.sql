with
    deals as (select * from {{ ref("stg_activecampaign__deals") }}),

    owners as (
        select * from {{ ref("stg_activecampaign__users") }} where not is_deleted
    ),

    pipelines as (select * from {{ ref("int_pipelines__known") }}),

    stages as (select * from {{ ref("int_deal_stages__known") }}),

    decisions as (select * from {{ ref("int_deals__decisions") }}),

    described as (
        select
            deals.*,
            owners.full_name as owner,
            pipelines.pipeline,
            stages.stage,
            stages.stage_position,
            deals.owner_id is not null and owners.user_id is null as is_owner_missing,
            deals.pipeline_id is not null
            and coalesce(pipelines.is_pipeline_missing, true) as is_pipeline_missing,
            deals.stage_id is not null
            and coalesce(stages.is_stage_missing, true) as is_stage_missing,
            coalesce(decisions.is_closed_at_known, false) as is_closed_at_known,
            decisions.closed_at
        from deals
        left join
            owners on deals.account = owners.account and deals.owner_id = owners.user_id
        left join
            pipelines
            on deals.account = pipelines.account
            and deals.pipeline_id = pipelines.pipeline_id
        left join
            stages
            on deals.account = stages.account
            and deals.stage_id = stages.stage_id
        left join
            decisions
            on deals.account = decisions.account
            and deals.deal_id = decisions.deal_id
    )

select *
from described

-- every deal of the account that counts is in one row of the mart, and nothing else is
with
    raw as (
        select count(*) as deals
        from {{ ref("stg_activecampaign__deals") }}
        where is_counted
    ),

    pipelines as (
        select
            sum(deals) as deals,
            sum(open_deals + won_deals + lost_deals) as deals_by_status,
            count(*) filter (where deals < open_deals + won_deals + lost_deals) as odd
        from {{ ref("pipelines") }}
    ),

    stages as (select sum(deals) as deals from {{ ref("pipeline_stages") }})

select raw.deals, pipelines.deals as pipelines_deals, stages.deals as stages_deals
from raw, pipelines, stages
where
    raw.deals <> coalesce(pipelines.deals, 0)
    or raw.deals <> coalesce(stages.deals, 0)
    or pipelines.odd > 0

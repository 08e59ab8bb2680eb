with
    -- what was won or lost is worth what it was then, in the currency of then
    deals as (
        select * replace ({{ as_of_decision(["currency", "value"]) }})
        from {{ ref("deals") }}
        where is_counted
    ),

    stages as (select * from {{ ref("int_deal_stages__known") }}),

    pipelines as (select * from {{ ref("int_pipelines__known") }}),

    per_currency as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            coalesce(stage_id, 0) as stage_id,
            coalesce(currency, 'unknown') as currency,
            count(*) as deals,
            count(*) filter (where status = 'open') as open_deals,
            count(*) filter (where status = 'won') as won_deals,
            count(*) filter (where status = 'lost') as lost_deals,
            coalesce(sum(value) filter (where status = 'open'), 0) as open_value,
            coalesce(sum(value) filter (where status = 'won'), 0) as won_value,
            coalesce(sum(value) filter (where status = 'lost'), 0) as lost_value
        from deals
        group by all
    ),

    -- a listed stage without deals has one row, in its pipeline's currency
    joined as (
        select
            account,
            pipeline_id,
            stage_id,
            stages.stage,
            coalesce(
                per_currency.currency, stages.default_currency, 'unknown'
            ) as currency,
            stages.stage_position,
            coalesce(per_currency.deals, 0) as deals,
            coalesce(per_currency.open_deals, 0) as open_deals,
            coalesce(per_currency.won_deals, 0) as won_deals,
            coalesce(per_currency.lost_deals, 0) as lost_deals,
            coalesce(per_currency.open_value, 0) as open_value,
            coalesce(per_currency.won_value, 0) as won_value,
            coalesce(per_currency.lost_value, 0) as lost_value,
            coalesce(stages.is_stage_missing, true) as is_stage_missing
        from stages
        full join per_currency using (account, pipeline_id, stage_id)
        where per_currency.deals > 0 or not stages.is_stage_missing
    )

select
    joined.account,
    joined.pipeline_id,
    joined.stage_id,
    pipelines.pipeline,
    joined.stage,
    joined.currency,
    joined.stage_position,
    joined.deals,
    joined.open_deals,
    joined.won_deals,
    joined.lost_deals,
    joined.open_value,
    joined.won_value,
    joined.lost_value,
    {{ ratio("joined.won_deals", "joined.won_deals + joined.lost_deals") }} as win_rate,
    {{ ratio("joined.won_value", "joined.won_value + joined.lost_value") }}
    as win_rate_by_value,
    joined.is_stage_missing,
    coalesce(pipelines.is_pipeline_missing, true) as is_pipeline_missing
from joined
left join
    pipelines
    on joined.account = pipelines.account
    and joined.pipeline_id = pipelines.pipeline_id

with
    -- what was won or lost is worth what it was then, in the currency of then
    deals as (
        select * replace ({{ as_of_decision(["currency", "value"]) }})
        from {{ ref("deals") }}
        where is_counted
    ),

    pipelines as (select * from {{ ref("int_pipelines__known") }}),

    per_currency as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
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

    -- a listed pipeline without deals has one row, in its own currency
    joined as (
        select
            account,
            pipeline_id,
            pipelines.pipeline,
            coalesce(
                per_currency.currency, pipelines.default_currency, 'unknown'
            ) as currency,
            coalesce(per_currency.deals, 0) as deals,
            coalesce(per_currency.open_deals, 0) as open_deals,
            coalesce(per_currency.won_deals, 0) as won_deals,
            coalesce(per_currency.lost_deals, 0) as lost_deals,
            coalesce(per_currency.open_value, 0) as open_value,
            coalesce(per_currency.won_value, 0) as won_value,
            coalesce(per_currency.lost_value, 0) as lost_value,
            coalesce(pipelines.is_pipeline_missing, true) as is_pipeline_missing
        from pipelines
        full join per_currency using (account, pipeline_id)
        where per_currency.deals > 0 or not pipelines.is_pipeline_missing
    )

select
    account,
    pipeline_id,
    pipeline,
    currency,
    deals,
    open_deals,
    won_deals,
    lost_deals,
    open_value,
    won_value,
    lost_value,
    {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
    {{ ratio("won_value", "won_value + lost_value") }} as win_rate_by_value,
    is_pipeline_missing
from joined

with
    open_stages as (select * from {{ ref("pipeline_stages") }} where open_deals > 0),

    decided as (
        select *
        from {{ ref("int_deals__stages_reached") }}
        where is_here and status in ('won', 'lost')
    ),

    history as (
        select * from {{ ref("deal_stage_history") }} where ended_by in ('won', 'lost')
    ),

    -- of the decided deals that got to a stage, the share that was won
    stage_rates as (
        select
            account,
            pipeline_id,
            stage_id,
            count(*) as decided_deals,
            count(*) filter (where status = 'won') as won_deals
        from decided
        group by all
    ),

    decided_in_stage as (
        select
            account, pipeline_id, stage_id, count(distinct deal_id) as decided_in_stage
        from history
        semi join decided using (account, deal_id, pipeline_id)
        group by all
    ),

    weighted as (
        select
            open_stages.account,
            open_stages.pipeline_id,
            open_stages.stage_id,
            open_stages.currency,
            open_stages.pipeline,
            open_stages.stage,
            open_stages.stage_position,
            open_stages.open_deals,
            open_stages.open_value,
            coalesce(stage_rates.decided_deals, 0) as decided_deals,
            coalesce(stage_rates.won_deals, 0) as won_deals,
            coalesce(decided_in_stage.decided_in_stage, 0) as decided_in_stage,
            {{ ratio("stage_rates.won_deals", "stage_rates.decided_deals") }}
            as win_rate
        from open_stages
        left join stage_rates using (account, pipeline_id, stage_id)
        left join decided_in_stage using (account, pipeline_id, stage_id)
    )

select *, cast(open_value as double) * win_rate as weighted_value
from weighted

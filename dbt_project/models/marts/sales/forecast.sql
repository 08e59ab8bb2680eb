with
    open_stages as (select * from {{ ref("pipeline_stages") }} where open_deals > 0),

    decided as (
        select * from {{ ref("int_deals__furthest_stages") }} where is_decided_here
    ),

    history as (
        select * from {{ ref("deal_stage_history") }} where ended_by in ('won', 'lost')
    ),

    per_position as (
        select
            account,
            pipeline_id,
            furthest_position,
            count(*) as decided_deals,
            count(*) filter (where is_won_here) as won_deals
        from decided
        group by all
    ),

    -- of the decided deals that got to a stage, the share that was won
    stage_rates as (
        select
            open_stages.account,
            open_stages.pipeline_id,
            open_stages.stage_id,
            open_stages.currency,
            coalesce(sum(per_position.decided_deals), 0) as decided_deals,
            coalesce(sum(per_position.won_deals), 0) as won_deals
        from open_stages
        left join
            per_position
            on open_stages.account = per_position.account
            and open_stages.pipeline_id = per_position.pipeline_id
            and open_stages.stage_position <= per_position.furthest_position
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
            cast(stage_rates.decided_deals as bigint) as decided_deals,
            cast(stage_rates.won_deals as bigint) as won_deals,
            coalesce(decided_in_stage.decided_in_stage, 0) as decided_in_stage,
            {{ ratio("stage_rates.won_deals", "stage_rates.decided_deals") }}
            as win_rate
        from open_stages
        inner join stage_rates using (account, pipeline_id, stage_id, currency)
        left join decided_in_stage using (account, pipeline_id, stage_id)
    )

select *, cast(open_value as double) * win_rate as weighted_value
from weighted

with
    furthest_stages as (
        select *, {{ local_month("created_at") }} as created_month
        from {{ ref("int_deals__furthest_stages") }}
    ),

    history as (select * from {{ ref("deal_stage_history") }}),

    deals as (select * from {{ ref("deals") }} where is_counted),

    stages as (
        select * from {{ ref("int_deal_stages__known") }} where not is_stage_missing
    ),

    per_position as (
        select
            account,
            pipeline_id,
            created_month,
            furthest_position,
            count(*) as deals,
            count(*) filter (where is_won_here) as won_deals
        from furthest_stages
        where created_month is not null
        group by all
    ),

    -- who got to a stage got to those before it, whether a sync saw that or not
    reached as (
        select
            per_position.account,
            per_position.pipeline_id,
            per_position.created_month,
            stages.stage_id,
            stages.pipeline,
            stages.stage,
            stages.stage_position,
            cast(
                coalesce(
                    sum(per_position.deals) filter (
                        where per_position.furthest_position >= stages.stage_position
                    ),
                    0
                ) as bigint
            ) as deals_reached,
            cast(
                coalesce(
                    sum(per_position.won_deals) filter (
                        where per_position.furthest_position >= stages.stage_position
                    ),
                    0
                ) as bigint
            ) as won_deals
        from per_position
        inner join stages using (account, pipeline_id)
        group by all
    ),

    visits as (
        select
            history.account,
            history.pipeline_id,
            deals.created_month,
            history.stage_id,
            count(distinct history.deal_id) filter (
                where history.observed_from is not null
            ) as deals_seen,
            count(history.days) filter (
                where not history.is_current
            ) as measured_visits,
            median(history.days) filter (where not history.is_current) as median_days
        from history
        inner join deals using (account, deal_id)
        group by all
    ),

    compared as (
        select
            reached.*,
            coalesce(visits.deals_seen, 0) as deals_seen,
            coalesce(visits.measured_visits, 0) as measured_visits,
            visits.median_days,
            lead(reached.deals_reached) over (
                partition by reached.account, reached.pipeline_id, reached.created_month
                order by reached.stage_position
            ) as next_stage_deals
        from reached
        left join visits using (account, pipeline_id, created_month, stage_id)
    )

select
    account,
    pipeline_id,
    created_month,
    stage_id,
    pipeline,
    stage,
    stage_position,
    deals_reached,
    deals_seen,
    won_deals,
    next_stage_deals,
    {{ ratio("next_stage_deals", "deals_reached") }} as conversion_to_next,
    {{ ratio("won_deals", "deals_reached") }} as conversion_to_won,
    measured_visits,
    median_days
from compared

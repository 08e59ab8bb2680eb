with
    reached as (
        select *, {{ local_month("created_at") }} as created_month
        from {{ ref("int_deals__stages_reached") }}
        where created_at is not null
    ),

    history as (select * from {{ ref("deal_stage_history") }}),

    deals as (select * from {{ ref("deals") }} where is_counted),

    stages as (
        select
            *,
            stage_position
            < max(stage_position) over (partition by account, pipeline_id) as has_next
        from {{ ref("int_deal_stages__known") }}
        where not is_stage_missing
    ),

    cohorts as (select distinct account, pipeline_id, created_month from reached),

    per_stage as (
        select
            account,
            pipeline_id,
            created_month,
            stage_id,
            count(*) as deals_reached,
            count(*) filter (where is_visited) as deals_visited,
            count(*) filter (where status = 'open' and is_here) as open_deals,
            count(*) filter (where status = 'won' and is_here) as won_deals,
            count(*) filter (where status = 'lost' and is_here) as lost_deals,
            count(*) filter (where is_passed) as next_stage_deals,
            count(*) filter (
                where is_passed and is_here and status in ('won', 'lost')
            ) as decided_next_stage_deals,
            bool_or(has_next_stage) as had_next
        from reached
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

    -- nothing comes after the stage that was last then
    joined as (
        select
            account,
            pipeline_id,
            created_month,
            stage_id,
            stages.pipeline,
            stages.stage,
            stages.stage_position,
            {% for figure in [
                "deals_reached",
                "deals_visited",
                "deals_seen",
                "open_deals",
                "won_deals",
                "lost_deals",
                "measured_visits",
            ] %}
                coalesce({{ figure }}, 0) as {{ figure }},
            {% endfor %}
            {% for figure in ["next_stage_deals", "decided_next_stage_deals"] %}
                case
                    when coalesce(had_next, stages.has_next)
                    then coalesce({{ figure }}, 0)
                end as {{ figure }},
            {% endfor %}
            median_days
        from cohorts
        inner join stages using (account, pipeline_id)
        left join per_stage using (account, pipeline_id, created_month, stage_id)
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
    deals_visited,
    deals_seen,
    open_deals,
    won_deals,
    lost_deals,
    next_stage_deals,
    decided_next_stage_deals,
    {{ ratio("next_stage_deals", "deals_reached") }} as conversion_to_next,
    {{ ratio("decided_next_stage_deals", "won_deals + lost_deals") }}
    as decided_conversion_to_next,
    {{ ratio("won_deals", "deals_reached") }} as conversion_to_won,
    {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
    measured_visits,
    median_days
from joined

with
    reached as (
        select
            *,
            {{ local_month("created_at") }} as created_month,
            -- whether it got to the stage that comes next now
            lead(stage_position) over (
                partition by account, deal_id, pipeline_id order by stage_position
            )
            = stage_position + 1 as is_next_reached
        from {{ ref("int_deals__stages_reached") }}
        where created_at is not null
    ),

    history as (select * from {{ ref("deal_stage_history") }}),

    deals as (select * from {{ ref("deals") }} where is_counted),

    stages as (
        select
            *,
            stage_position
            = max(stage_position) over (partition by account, pipeline_id) as is_last
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
            count(*) filter (where is_next_reached) as next_stage_deals
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
    )

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
    ] %}
        coalesce({{ figure }}, 0) as {{ figure }},
    {% endfor %}
    if(stages.is_last, null, coalesce(next_stage_deals, 0)) as next_stage_deals,
    {{ ratio("if(stages.is_last, null, next_stage_deals)", "deals_reached") }}
    as conversion_to_next,
    {{ ratio("won_deals", "deals_reached") }} as conversion_to_won,
    {{ ratio("won_deals", "won_deals + lost_deals") }} as win_rate,
    coalesce(measured_visits, 0) as measured_visits,
    median_days
from cohorts
inner join stages using (account, pipeline_id)
left join per_stage using (account, pipeline_id, created_month, stage_id)
left join visits using (account, pipeline_id, created_month, stage_id)

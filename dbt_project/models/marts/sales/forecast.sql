{%- set expected_close_field = (
    var("expected_close_field") | string | replace("'", "''")
) %}

with
    deals as (select * from {{ ref("deals") }} where is_counted),

    stages as (
        select account, pipeline_id, stage_id, currency, pipeline, stage, stage_position
        from {{ ref("pipeline_stages") }}
    ),

    history as (
        select * from {{ ref("deal_stage_history") }} where ended_by in ('won', 'lost')
    ),

    expected_closes as (
        select
            account,
            deal_id,
            -- the day as it is written, also of a field that has a time
            arg_max(
                {{ typed("value[:10]", "DATE") }},
                (coalesce(updated_at, created_at), custom_field_value_id)
            ) as expected_close
        from {{ ref("deal_custom_fields") }}
        where
            not is_deleted
            and '{{ expected_close_field }}'
            in (custom_field, personalization_tag, cast(custom_field_id as varchar))
        group by all
    ),

    open_deals as (
        select
            account,
            coalesce(pipeline_id, 0) as pipeline_id,
            coalesce(stage_id, 0) as stage_id,
            coalesce(currency, 'unknown') as currency,
            cast(date_trunc('month', expected_close) as date) as expected_close_month,
            count(*) as open_deals,
            coalesce(sum(value), 0) as open_value,
            count(win_probability_percent) as deals_with_probability,
            sum(
                cast(value as double) * win_probability_percent / 100
            ) as weighted_value_by_probability
        from deals
        left join expected_closes using (account, deal_id)
        where status = 'open'
        group by all
    ),

    decided as (
        select reached.*, deals.is_closed_at_known
        from {{ ref("int_deals__stages_reached") }} as reached
        inner join deals using (account, deal_id)
        where
            reached.is_here and reached.status in ('won', 'lost')
            {% if var("forecast_days") %}
                and deals.closed_at
                > {{ as_of() }} - interval '{{ var("forecast_days") }}' day
            {% endif %}
    ),

    -- of the decided deals that got to a stage, the share that was won
    stage_rates as (
        select
            account,
            pipeline_id,
            stage_id,
            count(*) as decided_deals,
            count(*) filter (where status = 'won') as won_deals,
            count(*) filter (
                where not is_closed_at_known
            ) as decided_deals_of_unknown_date
        from decided
        group by all
    ),

    decided_in_stage as (
        select
            account, pipeline_id, stage_id, count(distinct deal_id) as decided_in_stage
        from history
        semi join decided using (account, deal_id, pipeline_id)
        group by all
    )

select
    account,
    pipeline_id,
    stage_id,
    currency,
    stages.pipeline,
    stages.stage,
    stages.stage_position,
    open_deals.open_deals,
    open_deals.open_value,
    coalesce(stage_rates.decided_deals, 0) as decided_deals,
    coalesce(stage_rates.won_deals, 0) as won_deals,
    coalesce(
        stage_rates.decided_deals_of_unknown_date, 0
    ) as decided_deals_of_unknown_date,
    coalesce(decided_in_stage.decided_in_stage, 0) as decided_in_stage,
    {{ ratio("stage_rates.won_deals", "stage_rates.decided_deals") }} as win_rate,
    cast(open_deals.open_value as double) * win_rate as weighted_value,
    open_deals.deals_with_probability,
    open_deals.weighted_value_by_probability,
    open_deals.expected_close_month
from open_deals
inner join stages using (account, pipeline_id, stage_id, currency)
left join stage_rates using (account, pipeline_id, stage_id)
left join decided_in_stage using (account, pipeline_id, stage_id)

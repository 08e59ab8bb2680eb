with
    funnel as (
        select account, pipeline_id, sum(deals_reached) as deals
        from {{ ref("sales_funnel") }}
        where stage_position = 1
        group by all
    ),

    -- pipelines without a stage that is still listed have no funnel
    deals as (
        select account, pipeline_id, count(distinct deal_id) as deals
        from {{ ref("int_deals__stages_reached") }}
        where created_at is not null
        group by all
    )

select *
from funnel
full join deals using (account, pipeline_id)
where funnel.deals is distinct from deals.deals

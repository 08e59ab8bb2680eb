with
    funnel as (
        select account, pipeline_id, stage_id, sum(deals_reached) as deals
        from {{ ref("sales_funnel") }}
        where deals_reached > 0
        group by all
    ),

    reached as (
        select account, pipeline_id, stage_id, count(distinct deal_id) as deals
        from {{ ref("int_deals__stages_reached") }}
        where created_at is not null
        group by all
    )

select *
from funnel
full join reached using (account, pipeline_id, stage_id)
where funnel.deals is distinct from reached.deals

with
    deals as (
        select *
        from {{ ref("stg_activecampaign__deals") }}
        where is_counted and created_at is not null
    ),

    -- pipelines without a stage that is still listed have no funnel
    stages as (
        select * from {{ ref("int_deal_stages__known") }} where not is_stage_missing
    )

select distinct account, pipeline_id, deal_id
from {{ ref("int_deals__stage_intervals") }}
semi join deals using (account, deal_id)
semi join stages using (account, pipeline_id)
anti join
    {{ ref("int_deals__stages_reached") }} as reached using (
        account, pipeline_id, deal_id
    )
where not is_deleted

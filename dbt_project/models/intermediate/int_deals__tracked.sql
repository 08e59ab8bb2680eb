with
    deals as (select * from {{ ref("stg_activecampaign__deals") }}),

    tracked as (
        select
            -- ids
            account,
            deal_id,
            owner_id,
            pipeline_id,
            stage_id,

            -- strings
            status,
            currency,

            -- numerics
            value_minor_units,

            -- booleans
            is_hidden,
            is_deleted,

            -- timestamps
            created_at,
            updated_at,
            observed_at
        from deals
    )

select *
from tracked

with
    versions as (select * from {{ ref("deal_groups_snapshot") }}),

    latest as (select * from versions qualify {{ is_latest_version("pipeline_id") }}),

    marked as (
        select
            account,
            pipeline_id,
            pipeline,
            default_currency,
            is_deleted or dbt_valid_to is not null as is_pipeline_missing
        from latest
    )

select *
from marked

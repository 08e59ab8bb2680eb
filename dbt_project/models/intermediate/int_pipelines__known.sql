with
    versions as (select * from {{ ref("deal_groups_snapshot") }}),

    latest as (
        select *
        from versions
        qualify
            row_number() over (
                partition by account, pipeline_id order by dbt_valid_from desc
            )
            = 1
    ),

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

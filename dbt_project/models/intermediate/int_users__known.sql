with
    versions as (select * from {{ ref("users_snapshot") }}),

    latest as (select * from versions qualify {{ is_latest_version("user_id") }}),

    marked as (
        select
            account,
            user_id,
            full_name,
            is_deleted or dbt_valid_to is not null as is_user_missing
        from latest
    )

select *
from marked

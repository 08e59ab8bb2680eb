with
    present as (
        select
            account,
            company_id,
            owner_id,
            company,
            website,
            is_deleted as is_company_missing,
            created_at,
            updated_at,
            deleted_at
        from {{ ref("stg_activecampaign__accounts") }}
    ),

    versions as (select * from {{ ref("accounts_snapshot") }}),

    latest as (select * from versions qualify {{ is_latest_version("company_id") }}),

    gone as (
        select
            account,
            company_id,
            owner_id,
            company,
            website,
            true as is_company_missing,
            created_at,
            updated_at,
            coalesce(deleted_at, dbt_valid_to) as deleted_at
        from latest
        anti join present using (account, company_id)
    ),

    marked as (
        select *
        from present
        union all
        select *
        from gone
    )

select *
from marked

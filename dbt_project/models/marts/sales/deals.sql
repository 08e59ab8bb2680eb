{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "deal_id"],
        on_schema_change="append_new_columns",
        post_hook=[
            "{{ delete_vanished('stg_activecampaign__deals', ['account', 'deal_id']) }}",
            "update {{ this }} set age_days = {{ age_days() }}, days_open = {{ days_open() }} where closed_at is null and deleted_at is null",
        ],
    )
}}

with
    deals as (select * from {{ ref("stg_activecampaign__deals") }}),

    contacts as (select * from {{ ref("contacts") }} where not is_deleted),

    owners as (select * from {{ ref("int_users__known") }}),

    pipelines as (select * from {{ ref("int_pipelines__known") }}),

    stages as (select * from {{ ref("int_deal_stages__known") }}),

    decisions as (select * from {{ ref("int_deals__decisions") }}),

    described as (
        select
            deals.*,
            contacts.full_name as contact,
            contacts.email as contact_email,
            owners.full_name as owner,
            pipelines.pipeline,
            stages.stage,
            {{ place_of_stage("deals") }} as stage_position,
            deals.contact_id is not null
            and contacts.contact_id is null as is_contact_missing,
            deals.owner_id is not null
            and coalesce(owners.is_user_missing, true) as is_owner_missing,
            deals.pipeline_id is not null
            and coalesce(pipelines.is_pipeline_missing, true) as is_pipeline_missing,
            deals.stage_id is not null
            and {{ is_stage_missing("deals") }} as is_stage_missing,
            coalesce(decisions.is_closed_at_known, false) as is_closed_at_known,
            decisions.closed_at
        from deals
        left join
            contacts
            on deals.account = contacts.account
            and deals.contact_id = contacts.contact_id
        left join
            owners on deals.account = owners.account and deals.owner_id = owners.user_id
        left join
            pipelines
            on deals.account = pipelines.account
            and deals.pipeline_id = pipelines.pipeline_id
        left join
            stages
            on deals.account = stages.account
            and deals.stage_id = stages.stage_id
        left join
            decisions
            on deals.account = decisions.account
            and deals.deal_id = decisions.deal_id
    ),

    -- changes whenever something in the deal's row does, but for its age
    versioned as (
        select *, hash(described, '{{ reporting_timezone() }}') as row_version
        from described
    ),

    due as (
        select *
        from versioned
        {% if is_loaded_with("row_version") %}
            anti join {{ this }} using (account, deal_id, row_version)
        {% endif %}
    ),

    dated as (
        select
            -- ids
            account,
            deal_id,
            contact_id,
            owner_id,
            pipeline_id,
            stage_id,
            company_id,

            -- strings
            title,
            contact,
            contact_email,
            owner,
            pipeline,
            stage,
            status,
            currency,

            -- numerics
            value,
            stage_position,
            win_probability_percent,
            activity_count,
            {{ age_days() }} as age_days,
            {{ days_open() }} as days_open,
            {{ days_between("created_at", "closed_at") }} as days_to_close,

            -- booleans
            is_counted,
            is_hidden,
            is_deleted,
            is_contact_missing,
            is_owner_missing,
            is_pipeline_missing,
            is_stage_missing,
            is_closed_at_known,

            -- timestamps
            created_at,
            updated_at,
            closed_at,
            next_action_at,
            hidden_at,
            deleted_at,
            {{ local_date("created_at") }} as created_date,
            {{ local_month("created_at") }} as created_month,
            {{ local_date("closed_at") }} as closed_date,
            {{ local_month("closed_at") }} as closed_month,
            row_version
        from due
    )

select *
from dated

-- Built for the deals in whose row something has changed (`row_version`), otherwise
-- left as
-- it is. After a change of this SQL build it anew:
-- `dbt build --full-refresh --select int_deals__described+`.
{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "deal_id"],
        on_schema_change="append_new_columns",
        post_hook="{{ delete_vanished('stg_activecampaign__deals', ['account', 'deal_id']) }}",
    )
}}

with
    deals as (select * from {{ ref("stg_activecampaign__deals") }}),

    contacts as (
        select * from {{ ref("stg_activecampaign__contacts") }} where not is_deleted
    ),

    owners as (select * from {{ ref("int_users__known") }}),

    pipelines as (select * from {{ ref("int_pipelines__known") }}),

    stages as (select * from {{ ref("int_deal_stages__known") }}),

    decisions as (select * from {{ ref("int_deals__decisions") }}),

    reopenings as (select * from {{ ref("int_deals__reopenings") }}),

    described as (
        select
            deals.*,
            contacts.full_name as contact,
            contacts.email as contact_email,
            owners.full_name as owner,
            pipelines.pipeline,
            stages.stage,
            {{ place_of_stage("stages", "deals") }} as stage_position,
            deals.contact_id is not null
            and contacts.contact_id is null as is_contact_missing,
            deals.owner_id is not null
            and coalesce(owners.is_user_missing, true) as is_owner_missing,
            deals.pipeline_id is not null
            and coalesce(pipelines.is_pipeline_missing, true) as is_pipeline_missing,
            deals.stage_id is not null
            and {{ is_stage_missing("stages", "deals") }} as is_stage_missing,
            decisions.owner_id as closed_owner_id,
            deciders.full_name as closed_owner,
            decisions.currency as closed_currency,
            decisions.value as closed_value,
            coalesce(decisions.is_closed_at_known, false) as is_closed_at_known,
            decisions.closed_at,
            coalesce(reopenings.times_reopened, 0) as times_reopened,
            reopenings.last_reopened_at
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
        left join
            reopenings
            on deals.account = reopenings.account
            and deals.deal_id = reopenings.deal_id
        left join
            owners as deciders
            on decisions.account = deciders.account
            and decisions.owner_id = deciders.user_id
    ),

    -- changes whenever something in the deal's row does, but for its age
    versioned as (
        select *, hash(described, '{{ reporting_timezone() }}') as row_version
        from described
    ),

    due as (
        select *
        from versioned
        {% if is_incremental() %}
            anti join {{ this }} using (account, deal_id, row_version)
        {% endif %}
    )

select
    * exclude (next_task_id, description, value_minor_units, observed_at),
    {{ days_between("created_at", "closed_at") }} as days_to_close,
    {{ local_date("created_at") }} as created_date,
    {{ local_month("created_at") }} as created_month,
    {{ local_date("closed_at") }} as closed_date,
    {{ local_month("closed_at") }} as closed_month
from due

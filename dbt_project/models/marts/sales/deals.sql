{{ config(materialized="view") }}

with deals as (select * from {{ ref("int_deals__described") }})

select
    -- ids
    account,
    deal_id,
    contact_id,
    owner_id,
    closed_owner_id,
    pipeline_id,
    stage_id,
    company_id,

    -- strings
    title,
    contact,
    contact_email,
    owner,
    closed_owner,
    pipeline,
    stage,
    status,
    currency,
    closed_currency,

    -- numerics
    value,
    closed_value,
    stage_position,
    win_probability_percent,
    activity_count,
    times_reopened,
    {{ age_days() }} as age_days,
    {{ days_open() }} as days_open,
    days_to_close,

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
    last_reopened_at,
    next_action_at,
    hidden_at,
    deleted_at,
    created_date,
    created_month,
    closed_date,
    closed_month,
    {{ local_date("next_action_at") }} as next_action_date,
    row_version
from deals

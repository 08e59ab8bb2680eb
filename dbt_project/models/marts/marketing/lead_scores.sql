with
    score_values as (select * from {{ ref("stg_activecampaign__score_values") }}),

    scores as (select * from {{ ref("stg_activecampaign__scores") }})

select
    -- ids
    account,
    score_values.score_value_id,
    score_values.contact_id,
    score_id,

    -- strings
    scores.score,

    -- numerics
    score_values.points,

    -- booleans
    coalesce(scores.is_deleted, true) as is_score_missing,
    score_values.is_deleted,

    -- timestamps
    score_values.created_at,
    score_values.updated_at,
    score_values.deleted_at
from score_values
left join scores using (account, score_id)

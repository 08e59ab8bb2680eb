with
    source as (select * from {{ account_rows("task_outcomes") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as outcome_id,

            -- strings
            {{ present_text("title") }} as outcome,
            {{ present_text("sentiment") }} as sentiment,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            created_utc_timestamp as created_at,
            updated_utc_timestamp as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

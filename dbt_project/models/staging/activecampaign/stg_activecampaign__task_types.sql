with
    source as (select * from {{ account_rows("task_types") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as task_type_id,

            -- strings
            {{ present_text("title") }} as task_type,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            coalesce(cdate, created_utc_timestamp) as created_at,
            coalesce(udate, updated_utc_timestamp) as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("automations") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as automation_id,
            {{ present_id("userid") }} as user_id,

            -- strings
            {{ present_text("name") }} as automation,

            -- numerics
            status as status_code,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            mdate as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

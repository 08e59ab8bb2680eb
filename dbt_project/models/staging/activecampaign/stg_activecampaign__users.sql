with
    source as (select * from {{ account_rows("users") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as user_id,

            -- strings
            {{ present_text("username") }} as username,
            {{ present_text("email") }} as email,
            coalesce(
                {{ present_text("concat_ws(' ', trim(firstname), trim(lastname))") }},
                {{ present_text("username") }}
            ) as full_name,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

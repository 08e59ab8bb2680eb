with
    source as (select * from {{ account_rows("groups") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as group_id,

            -- strings
            {{ present_text("title") }} as team,
            {{ present_text("descript") }} as description,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

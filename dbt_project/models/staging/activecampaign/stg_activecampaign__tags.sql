with
    source as (select * from {{ account_rows("tags") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as tag_id,

            -- strings
            {{ present_text("tag") }} as tag,
            lower({{ present_text("tagtype") }}) as tag_type,

            -- booleans
            _deleted_at is not null or coalesce(deleted, 0) = 1 as is_deleted,

            -- timestamps
            cdate as created_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

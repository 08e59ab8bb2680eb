with
    source as (select * from {{ account_rows("notes") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as note_id,
            {{ present_id("relid") }} as related_id,
            coalesce(
                {{ present_id('"user"') }}, {{ present_id("userid") }}
            ) as created_by_id,

            -- strings
            {{ present_text("reltype") }} as related_type,
            {{ present_text("note") }} as note,

            -- booleans
            coalesce(is_draft = 1, false) as is_draft,
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

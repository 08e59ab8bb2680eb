with
    source as (select * from {{ account_rows("messages") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as message_id,

            -- strings
            {{ present_text("subject") }} as subject,
            {{ present_text("fromname") }} as sender,
            {{ present_text("fromemail") }} as sender_email,

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

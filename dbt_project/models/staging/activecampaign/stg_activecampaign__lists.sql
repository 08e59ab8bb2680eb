with
    source as (select * from {{ account_rows("lists") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as list_id,
            coalesce({{ present_id('"user"') }}, {{ present_id("userid") }}) as user_id,

            -- strings
            {{ present_text("name") }} as list,
            {{ present_text("channel") }} as channel,

            -- numerics
            active_subscribers,

            -- booleans
            coalesce(deletestamp, _deleted_at) is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            udate as updated_at,
            coalesce(_deleted_at, deletestamp) as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("user_groups") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as user_group_id,
            coalesce({{ present_id('"user"') }}, {{ present_id("userid") }}) as user_id,
            coalesce(
                {{ present_id('"group"') }}, {{ present_id("groupid") }}
            ) as group_id,

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

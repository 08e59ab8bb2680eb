with
    source as (select * from {{ account_rows("deal_groups") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as pipeline_id,

            -- strings
            {{ present_text("title") }} as pipeline,
            upper({{ present_text("currency") }}) as default_currency,

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

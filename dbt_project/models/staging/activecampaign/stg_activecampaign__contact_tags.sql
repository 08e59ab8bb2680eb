with
    source as (select * from {{ account_rows("contact_tags") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as contact_tag_id,
            contact as contact_id,
            tag as tag_id,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            cdate as tagged_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("custom_fields") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as custom_field_id,

            -- strings
            {{ present_text("title") }} as custom_field,
            {{ present_text("perstag") }} as personalization_tag,
            lower({{ present_text("type") }}) as field_type,
            {{ present_text("descript") }} as description,
            {{ present_text("defval") }} as default_value,
            options,

            -- numerics
            ordernum as field_order,

            -- booleans
            coalesce(isrequired, 0) = 1 as is_required,
            coalesce(visible, 0) = 1 as is_visible,
            _deleted_at is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            udate as updated_at,
            _deleted_at as deleted_at,
            greatest(_synced_at, _deleted_at) as observed_at
        from source
    )

select *
from renamed

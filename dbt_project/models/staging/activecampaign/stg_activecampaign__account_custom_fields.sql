with
    source as (select * from {{ account_rows("account_custom_fields") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as custom_field_id,

            -- strings
            {{ present_text("fieldlabel") }} as custom_field,
            {{ present_text("personalization") }} as personalization_tag,
            lower({{ present_text("fieldtype") }}) as field_type,
            {{ present_text("fielddefault") }} as default_value,
            fieldoptions as options,

            -- numerics
            displayorder as field_order,

            -- booleans
            coalesce(isrequired, 0) = 1 as is_required,
            coalesce(hidefieldflag, 0) = 0 as is_visible,
            _deleted_at is not null as is_deleted,

            -- timestamps
            createdtimestamp as created_at,
            updatedtimestamp as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("custom_field_values") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as custom_field_value_id,
            {{ present_id("coalesce(contact, owner)") }} as contact_id,
            {{ present_id("field") }} as custom_field_id,

            -- strings
            {{ present_text("value") }} as value,

            -- booleans
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

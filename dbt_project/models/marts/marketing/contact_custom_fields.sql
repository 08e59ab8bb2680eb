{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "custom_field_value_id"],
        on_schema_change="append_new_columns",
        post_hook="{{ delete_vanished('stg_activecampaign__custom_field_values', ['account', 'custom_field_value_id']) }}",
    )
}}

with
    custom_field_values as not materialized(
        select * from {{ ref("stg_activecampaign__custom_field_values") }}
    ),

    custom_fields as (
        select *, hash(custom_field, personalization_tag, field_type) as field_version
        from {{ ref("stg_activecampaign__custom_fields") }}
    ),

    joined as not materialized(
        select
            -- ids
            custom_field_values.account,
            custom_field_values.custom_field_value_id,
            custom_field_values.contact_id,
            custom_field_values.custom_field_id,

            -- strings
            custom_fields.custom_field,
            custom_fields.personalization_tag,
            custom_fields.field_type,
            custom_field_values.value,

            -- booleans
            custom_fields.custom_field_id is null as is_field_missing,
            custom_field_values.is_deleted,

            -- timestamps
            custom_field_values.created_at,
            custom_field_values.updated_at,
            custom_field_values.deleted_at,
            custom_field_values.observed_at,

            -- changes whenever something in the row does
            hash(
                custom_field_values.observed_at, custom_fields.field_version
            ) as row_version
        from custom_field_values
        left join
            custom_fields
            on custom_field_values.account = custom_fields.account
            and custom_field_values.custom_field_id = custom_fields.custom_field_id
    ),

    -- what the sync wrote since, whenever that was, and values whose field changed
    due as (
        select joined.*
        from joined
        {% if is_incremental() %}
            semi join
                (
                    select account, custom_field_value_id, row_version
                    from joined
                    anti join
                        {{ this }} using (account, custom_field_value_id, row_version)
                ) as changed using (account, custom_field_value_id)
        {% endif %}
    )

select
    *,
    case when {{ has_choices("field_type") }} then {{ choices("value") }} end as choices
from due

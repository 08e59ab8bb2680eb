{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "contact_id"],
        on_schema_change="append_new_columns",
        post_hook="{{ delete_emptied('fingerprint') }}",
    )
}}

with
    custom_field_values as not materialized(
        select * from {{ ref("contact_custom_fields") }} where contact_id is not null
    ),

    fingerprints as (
        select
            account,
            contact_id,
            bit_xor(hash(custom_field_value_id, row_version)) as fingerprint
        from custom_field_values
        group by account, contact_id
    ),

    due_contacts as (
        {{ due("fingerprints", ["account", "contact_id"], "fingerprint") }}
    ),

    due_values as (
        select *
        from custom_field_values
        semi join due_contacts using (account, contact_id)
        where not is_deleted and value is not null
    ),

    gathered as (
        select
            account,
            contact_id,
            count(distinct custom_field_id) as filled_fields,
            cast(
                '{' || string_agg(
                    to_json(personalization_tag) || ':' || to_json(value),
                    ','
                    order by personalization_tag, custom_field_value_id
                ) filter (where personalization_tag is not null)
                || '}' as json
            ) as custom_fields
        from due_values
        group by account, contact_id
    )

select
    account,
    contact_id,
    gathered.custom_fields,
    coalesce(gathered.filled_fields, 0) as filled_fields,
    due_contacts.fingerprint
from due_contacts
left join gathered using (account, contact_id)

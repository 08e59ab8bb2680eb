-- Built for the contacts whose `fingerprint` has changed, otherwise left as it is.
-- After a
-- change of this SQL build it anew:
-- `dbt build --full-refresh --select int_contacts__custom_fields+`.
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

    -- earlier versions typed malformed values: what they made of them is made anew
    fingerprints as (
        select
            account,
            contact_id,
            bit_xor(
                if(
                    is_malformed,
                    hash(custom_field_value_id, row_version, is_malformed),
                    hash(custom_field_value_id, row_version)
                )
            ) as fingerprint,
            max(observed_at) as observed_at
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

    -- a list, sorted afterwards, takes half the memory of an aggregate that sorts
    listed as (
        select
            account,
            contact_id,
            list(custom_field_id) as field_ids,
            list((personalization_tag, custom_field_value_id, value)) filter (
                where personalization_tag is not null
            ) as entries
        from due_values
        group by account, contact_id
    ),

    gathered as (
        select
            account,
            contact_id,
            len(list_distinct(field_ids)) as filled_fields,
            cast(
                '{' || array_to_string(
                    list_transform(
                        list_sort(entries),
                        lambda entry:to_json(entry[1]) || ':' || to_json(entry[3])
                    ),
                    ','
                )
                || '}' as json
            ) as custom_fields
        from listed
    )

select
    account,
    contact_id,
    gathered.custom_fields,
    coalesce(gathered.filled_fields, 0) as filled_fields,
    due_contacts.fingerprint,
    due_contacts.observed_at
from due_contacts
left join gathered using (account, contact_id)

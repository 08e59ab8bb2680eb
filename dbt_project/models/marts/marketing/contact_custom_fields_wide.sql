{%- set columns = custom_field_columns() -%}

{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "contact_id"],
        on_schema_change="sync_all_columns",
        contract={"enforced": false},
        pre_hook="{{ drop_outdated_columns() }}",
        post_hook="{{ delete_vanished('contacts', ['account', 'contact_id']) }}",
    )
}}

{%- set is_partial = false -%}
{%- if is_incremental() -%}
    {%- set changes = outdated_columns(this, columns) -%}
    {%- set is_partial = not changes.drop and not changes.add -%}
{%- endif %}

with
    custom_field_values as (select * from {{ ref("contact_custom_fields") }}),

    custom_fields as not materialized(
        select * from {{ ref("int_contacts__custom_fields") }}
    ),

    -- only contacts that changed, unless a column did
    due_contacts as (
        select account, contact_id, email, is_deleted, row_version
        from {{ ref("contacts") }}
        {% if is_partial %}
            anti join {{ this }} using (account, contact_id, row_version)
        {% endif %}
    ),

    due_values as (
        select
            account,
            contact_id,
            custom_field_id,
            arg_max(
                value, (coalesce(updated_at, created_at), custom_field_value_id)
            ) as value
        from custom_field_values
        semi join due_contacts using (account, contact_id)
        where not is_deleted and value is not null
        group by all
    ),

    gathered as (
        select
            account,
            contact_id,
            map_from_entries(list((custom_field_id, value))) as values_by_field
        from due_values
        group by all
    )

select
    account,
    contact_id,
    due_contacts.email,
    {% for column in columns %}
        {{ typed_custom_field(column) }} as "{{ column.name }}",
    {% endfor %}
    coalesce(custom_fields.filled_fields, 0) as filled_fields,
    due_contacts.is_deleted,
    due_contacts.row_version
from due_contacts
left join custom_fields using (account, contact_id)
left join gathered using (account, contact_id)

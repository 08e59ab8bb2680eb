-- Built for the contacts whose `row_version` has changed, otherwise left as it is.
-- After a
-- change of this SQL build it anew:
-- `dbt build --full-refresh --select contact_custom_fields_wide+`.
{%- set columns = custom_field_columns("contact") -%}
{%- set fixed = fixed_columns("contact") -%}
{#- to carry the lists of choices along takes a third longer than to make them anew -#}
{%- set parts = ["value"] -%}

{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "contact_id"],
        on_schema_change="sync_all_columns",
        contract={"enforced": false},
        pre_hook="{{ drop_outdated_columns(custom_field_columns('contact'), fixed_columns('contact')) }}",
        post_hook="{{ delete_vanished('contacts', ['account', 'contact_id']) }}",
    )
}}

{%- set is_partial = false -%}
{%- if is_incremental() -%}
    {%- set changes = outdated_columns(this, columns, fixed) -%}
    {%- set is_partial = not changes.drop and not changes.add -%}
{%- endif %}

with
    custom_field_values as (select * from {{ ref("contact_custom_fields") }}),

    -- only contacts that changed, unless a column did
    due_contacts as (
        select account, contact_id, email, is_deleted, row_version
        from {{ ref("contacts") }}
        {% if is_partial %}
            anti join {{ this }} using (account, contact_id, row_version)
        {% endif %}
    ),

    due_values as (
        select *
        from custom_field_values
        semi join due_contacts using (account, contact_id)
    ),

    gathered as ({{ latest_values("contact", "due_values", parts) }})

select
    account,
    contact_id,
    due_contacts.email,
    {% for column in columns %}
        {{ custom_field_value(column, "gathered.values_by_column", parts) }}
        as "{{ column.name }}",
    {% endfor %}
    coalesce(gathered.filled_fields, 0) as filled_fields,
    due_contacts.is_deleted,
    due_contacts.row_version
from due_contacts
left join gathered using (account, contact_id)

{% macro choices(value) -%}
    list_filter(
        list_transform(string_split({{ value }}, '||'), lambda choice:trim(choice)),
        lambda choice:choice <> ''
    )
{%- endmacro %}

{% macro custom_field_types() %}
    {{
        return(
            {
                "date": "DATE",
                "datetime": "TIMESTAMP WITH TIME ZONE",
                "number": "DOUBLE",
                "checkbox": "VARCHAR[]",
                "listbox": "VARCHAR[]",
                "multiselect": "VARCHAR[]",
            }
        )
    }}
{% endmacro %}

{% macro has_choices(field_type) -%}
    coalesce({{ field_type }} in ('checkbox', 'listbox', 'multiselect'), false)
{%- endmacro %}

{% macro fixed_columns() %}
    {{
        return(
            [
                "account",
                "contact_id",
                "email",
                "filled_fields",
                "is_deleted",
                "row_version",
            ]
        )
    }}
{% endmacro %}

{% macro custom_field_columns() %}
    {%- set taken = fixed_columns() -%}
    {%- set columns = {} -%}
    {%- set fields = ref("stg_activecampaign__custom_fields") -%}
    {%- if execute and load_relation(fields) -%}
        {%- set found = run_query(
            "select account, custom_field_id, personalization_tag, field_type from "
            ~ fields
            ~ " where not is_deleted order by account, custom_field_id"
        ) -%}
        {%- set reserved = (
            run_query(
                "select keyword_name from duckdb_keywords() where keyword_category = 'reserved'"
            )
            .columns[0]
            .values()
        ) -%}
        {%- set named = {} -%}
        {%- for account, id, tag, field_type in found.rows -%}
            {%- set plain = modules.re.sub("[^a-z0-9]+", "_", (tag or "") | lower) -%}
            {%- set name = plain.strip("_") or "field_" ~ id -%}
            {%- if name[0] in "0123456789" -%}
                {%- set name = "field_" ~ name -%}
            {%- endif -%}
            {%- if name in taken or name in reserved -%}
                {%- set name = name ~ "_field" -%}
            {%- endif -%}
            {%- set name = unused_name(name, id, account, taken, named) -%}
            {%- do named.update({(account, name): id}) -%}
            {%- set type = custom_field_types().get(field_type, "VARCHAR") -%}
            {%- set column = columns.setdefault(
                name, {"name": name, "type": type, "ids": []}
            ) -%}
            {%- if column.type != type -%}
                {%- do column.update({"type": "VARCHAR"}) -%}
            {%- endif -%}
            {%- do column.ids.append((account, id)) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(columns.values() | list) }}
{% endmacro %}

{% macro unused_name(name, id, account, taken, named) -%}
    {%- if name in taken or (account, name) in named -%}
        {#- what the id makes unique may be another field's name, too -#}
        {{ return(unused_name(name ~ "_" ~ id, id, account, taken, named)) }}
    {%- endif -%}
    {{ return(name) }}
{%- endmacro %}

{% macro typed_custom_field(column) -%}
    {%- set value -%}
        case
            account
            {% for account, id in column.ids %}
            when {{ dbt.string_literal(dbt.escape_single_quotes(account)) }}
            then values_by_field[{{ id }}]
            {% endfor %}
        end
    {%- endset -%}
    {%- if column.type == "VARCHAR[]" -%} {{ choices(value) }}
    {%- else -%} {{ typed(value, column.type) }}
    {%- endif -%}
{%- endmacro %}

{% macro outdated_columns(relation, columns) %}
    {%- set fixed = fixed_columns() -%}
    {%- set wanted = {} -%}
    {%- for column in columns -%}
        {%- do wanted.update({column.name: column.type}) -%}
    {%- endfor -%}
    {%- set outdated = [] -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
        {%- if column.name not in fixed and wanted.pop(
            column.name, ""
        ) != column.dtype -%}
            {%- do outdated.append(column.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return({"drop": outdated, "add": wanted.keys() | list}) }}
{% endmacro %}

{% macro drop_outdated_columns() %}
    {%- if is_incremental() -%}
        {%- for name in outdated_columns(this, custom_field_columns()).drop %}
            alter table {{ this }} drop column "{{ name }}";
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

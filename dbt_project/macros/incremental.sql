{% macro loaded_columns() -%}
    {%- set names = [] -%}
    {%- if is_incremental() -%}
        {%- set names = adapter.get_columns_in_relation(this) | map(
            attribute="name"
        ) -%}
    {%- endif -%}
    {{ return(names | list) }}
{%- endmacro %}

{% macro is_loaded_with(column) -%}
    {{ return(column in loaded_columns()) }}
{%- endmacro %}

{% macro due(versions, key, version) -%}
    {%- set missing = ([version] + (model.columns | list)) | reject(
        "in", loaded_columns()
    ) -%}
    {%- if not missing | list -%}
        {%- set key = key | join(", ") -%}
        select distinct {{ key }}, {{ versions }}.* exclude ({{ key }})
        from {{ versions }}
        full join {{ this }} as loaded using ({{ key }})
        where {{ versions }}.{{ version }} is distinct from loaded.{{ version }}
    {%- else -%} select * from {{ versions }}
    {%- endif -%}
{%- endmacro %}

{% macro delete_emptied(version) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ version }} is null
    {%- endif -%}
{%- endmacro %}

{% macro drop_former_columns() -%}
    {%- if is_incremental() -%}
        {%- for column in adapter.get_columns_in_relation(this)
            if column.name not in model.columns -%}
            alter table {{ this }} drop column {{ adapter.quote(column.name) }};
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro delete_vanished(parent, key) -%}
    {%- if is_incremental() -%}
        {%- set parent = ref(parent) -%}
        {%- set surplus = single_value(
            "select (select count(*) from "
            ~ this
            ~ ") - (select count(*) from "
            ~ parent
            ~ ")"
        ) -%}
        {%- if surplus > 0 -%}
            delete from {{ this }} as loaded
            where
                not exists (
                    select 1
                    from {{ parent }} as parent
                    where
                        {% for column in key %}
                            loaded.{{ column }} = parent.{{ column }}
                            {%- if not loop.last %} and {% endif %}
                        {% endfor %}
                )
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro outdated_columns(relation, columns, fixed) %}
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

{% macro drop_outdated_columns(columns, fixed) %}
    {%- if is_incremental() -%}
        {%- for name in outdated_columns(this, columns, fixed).drop %}
            alter table {{ this }} drop column "{{ name }}";
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}

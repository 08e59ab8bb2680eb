{% macro changed_since(rows, key, version, stamp) -%}
    {%- if not is_incremental() -%} true
    {%- else -%}
        {%- set identity -%} hash({{ key | join(", ") }}, {{ version }}) {%- endset -%}
        {%- set query -%}
            select epoch_us(min({{ stamp }}))
            from (select {{ stamp }}, {{ identity }} as identity from ({{ rows }}))
            anti join (select {{ identity }} as identity from {{ this }}) using (identity)
        {%- endset -%}
        {%- set oldest = single_value(query) -%}
        {%- if oldest is none -%} false
        {%- else -%} {{ stamp }} >= make_timestamptz({{ oldest | int }})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro due(versions, key, version) -%}
    {%- if is_incremental() -%}
        select distinct {{ key | join(", ") }}, {{ versions }}.{{ version }}
        from {{ versions }}
        full join {{ this }} as loaded using ({{ key | join(", ") }})
        where {{ versions }}.{{ version }} is distinct from loaded.{{ version }}
    {%- else -%} select {{ key | join(", ") }}, {{ version }} from {{ versions }}
    {%- endif -%}
{%- endmacro %}

{% macro delete_emptied(version) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ version }} is null
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

{% macro forms() %}
    {#- the first and the last of a year's four digits that are not taken: 0 and 9999 -#}
    {%- set year = "(?:[1-8]\\d{3}|9(?:[0-8]\\d\\d|9(?:[0-8]\\d|9[0-8])))" -%}
    {%- set date = year ~ "-\\d\\d-\\d\\d" -%}
    {%- set hour = "(?:[01]\\d|2[0-3])" -%}
    {%- set time = hour ~ ":[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?" -%}
    {%- set offset = "(?:Z|[+-]" ~ hour ~ "(?::?[0-5]\\d)?)" -%}
    {{
        return(
            {
                "DATE": date,
                "TIMESTAMP WITH TIME ZONE": date ~ "[T ]" ~ time ~ offset,
                "BIGINT": "-?\\d{1,18}",
                "DOUBLE": "[+-]?(?:\\d{1,15}(?:\\.\\d{0,15})?|\\.\\d{1,15})",
            }
        )
    }}
{% endmacro %}

{% macro typed(text, type) -%}
    {%- set form = forms().get(type) -%}
    {#- what has another form becomes an empty text, which is no value of any of the types -#}
    {%- if form -%}
        try_cast(regexp_extract({{ text }}, '^(?:{{ form }})$') as {{ type }})
    {%- else -%} {{ text }}
    {%- endif -%}
{%- endmacro %}

{% macro is_malformed(value, field_type, types) -%}
    (
        {{ value }} is not null
        and case
            {{ field_type }}
            {% for name, type in types.items() if type in forms() %}
                when '{{ name }}' then {{ typed(value, type) }} is null
            {% endfor %}
            else false
        end
    )
{%- endmacro %}

{% macro has_choices(field_type) -%}
    coalesce({{ field_type }} in ('checkbox', 'listbox', 'multiselect'), false)
{%- endmacro %}

{% macro choices(value) -%}
    list_filter(
        list_transform(string_split({{ value }}, '||'), lambda choice:trim(choice)),
        lambda choice:choice <> ''
    )
{%- endmacro %}

{% macro malformed_values(model) -%}
    -- a row per field, in the result their sum
    select account, custom_field_id, custom_field, count(*) as malformed_values
    from {{ ref(model) }}
    where is_malformed and not is_deleted
    group by all
{%- endmacro %}

{% macro keep_minor_units() -%}
    {%- set columns = [] -%}
    {%- if execute and load_relation(this) -%}
        {%- set columns = (
            adapter.get_columns_in_relation(this)
            | map(attribute="name")
            | list
        ) -%}
    {%- endif -%}
    {%- if "value" in columns -%}
        create or replace table {{ this }} as
        select
            versions.* exclude (value),
            cast(
                round(value * power(10, coalesce(currencies.decimals, 2))) as bigint
            ) as value_minor_units
        from {{ this }} as versions
        left join
        {{ adapter.get_relation(this.database, "seeds", "currency_decimals") }}
            as currencies using (currency)
    {%- endif -%}
{%- endmacro %}

{% macro ratio(numerator, denominator) -%}
    (cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0))
{%- endmacro %}

{% macro currency_units(minor_units, decimals) -%}
    cast(
        cast({{ minor_units }} as decimal(30, 0)) * case
            {{ decimals }}
            when 0
            then 1.0000
            when 3
            then 0.0010
            when 4
            then 0.0001
            else 0.0100
        end as decimal(24, 4)
    )
{%- endmacro %}

{% macro present_id(id) -%} nullif({{ id }}, 0) {%- endmacro %}

{% macro present_text(text) -%} nullif(trim({{ text }}), '') {%- endmacro %}

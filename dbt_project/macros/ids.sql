{% macro id_block(id) -%} ({{ id }} >> 6) {%- endmacro %}

{% macro id_bit(id) -%}(1::ubigint << ({{ id }} & 63)::ubigint) {%- endmacro %}

{% macro id_bits(id) -%} bit_or({{ id_bit(id) }}) {%- endmacro %}

{% macro whole_number(text) -%}
    try_cast(regexp_extract({{ text }}, '^-?\d{1,18}$') as bigint)
{%- endmacro %}

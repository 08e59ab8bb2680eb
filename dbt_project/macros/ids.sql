{% macro id_block(id) -%} ({{ id }} >> 6) {%- endmacro %}

{% macro id_bits(id) -%} bit_or(1::ubigint << ({{ id }} & 63)) {%- endmacro %}

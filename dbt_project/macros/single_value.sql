{% macro single_value(query) -%}
    {{ return(run_query(query).columns[0].values()[0]) }}
{%- endmacro %}

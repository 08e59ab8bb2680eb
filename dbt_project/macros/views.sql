{% macro duckdb__create_view_as(relation, sql) -%}
    {%- set schemas = [] -%}
    {%- for nodes in [graph.sources, graph.nodes] -%}
        {%- do schemas.extend(nodes.values() | map(attribute="schema")) -%}
    {%- endfor -%}
    {%- set within = namespace(sql=sql) -%}
    {%- for schema in schemas | select | unique if schema | lower != relation.database | lower -%}
        {%- set name = adapter.quote(schema) ~ "." -%}
        {%- set within.sql = within.sql | replace(
            adapter.quote(relation.database) ~ "." ~ name, name
        ) -%}
    {%- endfor -%}
    {{ dbt.duckdb__create_view_as(relation, within.sql) }}
{%- endmacro %}

{% macro duckdb__create_view_as(relation, sql) -%}
    {%- set schemas = [var("activecampaign_schema")] -%}
    {%- for node in graph.nodes.values() if node.schema -%}
        {%- do schemas.append(node.schema) -%}
    {%- endfor -%}
    {%- set within = namespace(sql=sql) -%}
    {%- for schema in schemas | unique if schema | lower != relation.database | lower -%}
        {%- set name = adapter.quote(schema) ~ "." -%}
        {%- set within.sql = within.sql | replace(
            adapter.quote(relation.database) ~ "." ~ name, name
        ) -%}
    {%- endfor -%}
    {{ dbt.duckdb__create_view_as(relation, within.sql) }}
{%- endmacro %}

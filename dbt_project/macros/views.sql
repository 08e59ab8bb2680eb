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
    {#- a contract is checked outside the view, where names need their database -#}
    {%- if config.get("contract", {}).enforced %}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    create view {{ relation }} as (
    {{ within.sql }}
    );
{%- endmacro %}

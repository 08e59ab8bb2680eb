{% macro gather_rows() -%}
    {%- if execute -%}
        {%- set shares = [] -%}
        {%- for node in graph.nodes.values() -%}
            {%- if node.config.materialized == "incremental" -%}
                {%- set table = adapter.get_relation(
                    node.database, node.schema, node.alias
                ) -%}
                {%- if table and not adapter.is_ducklake(table) -%}
                    {%- set share -%}
                        (
                            select estimated_size
                            from duckdb_tables()
                            where
                                database_name = '{{ table.database }}'
                                and schema_name = '{{ table.schema }}'
                                and table_name = '{{ table.identifier }}'
                        )
                        > 1.5 * (select count(*) from {{ table }})
                    {%- endset -%}
                    {%- do shares.append(share) -%}
                {%- endif -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if shares and single_value("select " ~ shares | join(" or ")) -%}
            set max_vacuum_tasks = 100
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

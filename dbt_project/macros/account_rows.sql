{% macro account_rows(stream) -%}
    {%- set tables = account_tables(stream) -%}
    {%- set streams = synced_streams() -%}
    (
        {{ declared_columns(stream) }}
        {%- for account, relation in tables %}
            {%- set name = dbt.string_literal(account) %}
            union all by name
            select
                cast({{ name }} as varchar) as _account,
                {% if streams -%}
                    (
                        select max(last_synced_at)
                        from {{ streams }}
                        where account = {{ name }} and stream = '{{ stream }}'
                    )
                {%- else -%} cast(null as timestamptz)
                {%- endif %} as _last_synced_at,
                *
            from {{ relation }}
        {%- endfor %}
    )
{%- endmacro %}

{% macro declared_columns(stream) -%}
    {#- a table may lack columns: older ones do, and users leave some out -#}
    select
        cast(null as varchar) as _account,
        cast(null as timestamptz) as _last_synced_at
        {%- if execute -%}
            {%- for node in graph.get("sources", {}).values()
                if node.source_name == "activecampaign" and node.name == stream -%}
                {%- for column in node.columns.values() %}
                    , cast(null as {{ column.data_type }}) as "{{ column.name }}"
                {%- endfor -%}
            {%- endfor -%}
        {%- endif %}
    where false
{%- endmacro %}

{% macro account_tables(stream) -%}
    {%- set declared = source("activecampaign", stream) -%}
    {%- set alone = [
        [dbt.escape_single_quotes(var("activecampaign_account")), declared]
    ] -%}
    {%- if not execute or model.resource_type == "unit_test" -%}
        {{ return(alone) }}
    {%- endif -%}
    {%- if stream in var("activecampaign_without") -%} {{ return([]) }} {%- endif -%}
    {%- set streams = synced_streams() -%}
    {%- set tables = [] -%}
    {%- if streams -%}
        {%- set query -%}
            select account, table_name from {{ streams }}
            where stream = '{{ stream }}'
            order by account
        {%- endset -%}
        {%- for row in run_query(query).rows -%}
            {%- set relation = adapter.get_relation(
                target.database, var("activecampaign_schema"), row[1]
            ) -%}
            {%- if relation -%}
                {%- do tables.append([dbt.escape_single_quotes(row[0]), relation]) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if tables or not load_relation(declared) -%} {{ return(tables) }} {%- endif -%}
    {{ return(alone) }}
{%- endmacro %}

{% macro account_rows(stream) -%}
    {%- set tables = account_tables(stream) -%}
    (
        {%- for account, relation in tables %}
            select cast({{ dbt.string_literal(account) }} as varchar) as _account, *
            from {{ relation }}
            {%- if not loop.last %}
                union all by name
            {%- endif %}
        {%- endfor %}
    )
{%- endmacro %}

{% macro account_tables(stream) -%}
    {%- set declared = source("activecampaign", stream) -%}
    {%- set alone = [
        [dbt.escape_single_quotes(var("activecampaign_account")), declared]
    ] -%}
    {%- if not execute or model.resource_type == "unit_test" -%}
        {{ return(alone) }}
    {%- endif -%}
    {%- set schema = var("activecampaign_schema") -%}
    {%- set catalogue = adapter.get_relation(target.database, schema, "_streams") -%}
    {%- if not catalogue -%} {{ return(alone) }} {%- endif -%}
    {%- set query -%}
        select account, table_name from {{ catalogue }}
        where stream = '{{ stream }}'
        order by account
    {%- endset -%}
    {%- set tables = [] -%}
    {%- for row in run_query(query).rows -%}
        {%- set relation = adapter.get_relation(target.database, schema, row[1]) -%}
        {%- if relation -%}
            {%- do tables.append([dbt.escape_single_quotes(row[0]), relation]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(tables or alone) }}
{%- endmacro %}

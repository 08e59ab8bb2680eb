{% macro account_rows(stream) -%}
    {%- set tables = account_tables(stream) -%}
    {%- set streams = synced_streams() -%}
    (
        {{ declared_columns(stream) }}
        {%- for account, relation, time_zone in tables %}
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
                cast({{ dbt.string_literal(time_zone) }} as varchar) as _time_zone,
                *
            from {{ relation }}
        {%- endfor %}
    )
{%- endmacro %}

{% macro declared_columns(stream) -%}
    {#- a table may lack columns: older ones do, and users leave some out -#}
    select
        cast(null as varchar) as _account,
        cast(null as timestamptz) as _last_synced_at,
        cast(null as varchar) as _time_zone
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
    {%- set unless_known = "America/Chicago" -%}
    {%- set alone = [
        [
            dbt.escape_single_quotes(var("activecampaign_account")),
            declared,
            unless_known,
        ]
    ] -%}
    {%- if not execute or model.resource_type == "unit_test" -%}
        {{ return(alone) }}
    {%- endif -%}
    {%- if stream in var("activecampaign_without") -%} {{ return([]) }} {%- endif -%}
    {%- set streams = synced_streams() -%}
    {%- set tables = [] -%}
    {%- if streams -%}
        {%- set facts = adapter.get_relation(
            target.database, var("activecampaign_schema"), "_account_facts"
        ) -%}
        {%- set query -%}
            select
                account,
                table_name,
                {% if facts -%}
                    (
                        select max(value)
                        from {{ facts }} as facts
                        where facts.account = streams.account and fact = 'time_zone'
                    )
                {%- else -%} null
                {%- endif %} as time_zone
            from {{ streams }} as streams
            where stream = '{{ stream }}'
            order by account
        {%- endset -%}
        {%- for account, table_name, time_zone in run_query(query).rows -%}
            {%- set relation = adapter.get_relation(
                target.database, var("activecampaign_schema"), table_name
            ) -%}
            {%- if relation -%}
                {%- do tables.append(
                    [
                        dbt.escape_single_quotes(account),
                        relation,
                        dbt.escape_single_quotes(time_zone or unless_known),
                    ]
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if tables or not load_relation(declared) -%} {{ return(tables) }} {%- endif -%}
    {{ return(alone) }}
{%- endmacro %}

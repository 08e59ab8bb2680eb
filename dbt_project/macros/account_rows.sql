{% macro account_rows(stream) -%}
    {%- set tables = account_tables(stream) -%}
    {%- set streams = synced_streams() -%}
    (
        {%- for account, relation in tables %}
            {%- set name = dbt.string_literal(account) %}
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
    {%- set streams = synced_streams() -%}
    {%- if not streams -%} {{ return(alone) }} {%- endif -%}
    {%- set query -%}
        select account, table_name from {{ streams }}
        where stream = '{{ stream }}'
        order by account
    {%- endset -%}
    {%- set tables = [] -%}
    {%- for row in run_query(query).rows -%}
        {%- set relation = adapter.get_relation(
            target.database, var("activecampaign_schema"), row[1]
        ) -%}
        {%- if relation -%}
            {%- do tables.append([dbt.escape_single_quotes(row[0]), relation]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(tables or alone) }}
{%- endmacro %}

{% macro account_rows(stream) -%}
    {%- set tables = account_tables(stream) -%}
    {%- set streams = synced_streams() -%}
    (
        {%- for account, relation, time_zone in tables %}
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
                cast({{ dbt.string_literal(time_zone) }} as varchar) as _time_zone,
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
    {%- set unless_known = "America/Chicago" -%}
    {%- set alone = [
        [
            dbt.escape_single_quotes(var("activecampaign_account")),
            declared,
            unless_known,
        ]
    ] -%}
    {%- set streams = synced_streams() -%}
    {%- if not streams -%} {{ return(alone) }} {%- endif -%}
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
    {%- set tables = [] -%}
    {%- for row in run_query(query).rows -%}
        {%- set relation = adapter.get_relation(
            target.database, var("activecampaign_schema"), row[1]
        ) -%}
        {%- if relation -%}
            {%- do tables.append(
                [
                    dbt.escape_single_quotes(row[0]),
                    relation,
                    dbt.escape_single_quotes(row[2] or unless_known),
                ]
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(tables or alone) }}
{%- endmacro %}

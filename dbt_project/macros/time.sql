{% macro as_of() -%}
    cast('{{ var("as_of") or last_synced_at() }}' as timestamptz)
{%- endmacro %}

{% macro last_synced_at() -%}
    {%- set streams = synced_streams() -%}
    {%- if streams -%}
        {%- set newest = single_value(
            "select strftime(max(last_synced_at), '%Y-%m-%d %H:%M:%S.%f+00') from "
            ~ streams
        ) -%}
    {%- endif -%}
    {{ return(newest or run_started_at) }}
{%- endmacro %}

{% macro synced_streams() -%}
    {%- if execute and model.resource_type != "unit_test" -%}
        {{
            return(
                adapter.get_relation(
                    target.database, var("activecampaign_schema"), "_streams"
                )
            )
        }}
    {%- endif -%}
{%- endmacro %}

{% macro synced_at(stream, account) -%}
    {%- set streams = synced_streams() -%}
    {%- if streams -%}
        (
            select
                coalesce(
                    max(last_synced_at) filter (where account = {{ account }}),
                    max(last_synced_at),
                    cast('{{ last_synced_at() }}' as timestamptz)
                )
            from {{ streams }}
            where stream = '{{ stream }}'
        )
    {%- else -%} cast('{{ run_started_at }}' as timestamptz)
    {%- endif -%}
{%- endmacro %}

{% macro observed_at(source) -%}
    least(
        greatest({{ source }}._synced_at, {{ source }}._deleted_at),
        {{ source }}._last_synced_at
    )
{%- endmacro %}

{% macro reporting_timezone() -%}
    {{ return(var("reporting_timezone") or "UTC") }}
{%- endmacro %}

{% macro local_date(instant) -%}
    {%- if reporting_timezone() == "UTC" -%}
        cast(make_timestamp(epoch_us({{ instant }})) as date)
    {%- else -%} cast(({{ instant }} at time zone '{{ reporting_timezone() }}') as date)
    {%- endif -%}
{%- endmacro %}

{% macro local_month(instant) -%}
    cast(date_trunc('month', {{ local_date(instant) }}) as date)
{%- endmacro %}

{% macro local_hour(instant) -%}
    {%- if reporting_timezone() == "UTC" -%}
        hour(make_timestamp(epoch_us({{ instant }})))
    {%- else -%} hour({{ instant }} at time zone '{{ reporting_timezone() }}')
    {%- endif -%}
{%- endmacro %}

{% macro days_between(start, end) -%}
    round((epoch({{ end }}) - epoch({{ start }})) / 86400, 2)
{%- endmacro %}

{% macro from_account_clock(wall_clock) -%}
    ({{ wall_clock }} at time zone _time_zone)
{%- endmacro %}

{% macro as_of() -%}
    cast('{{ var("as_of") or run_started_at }}' as timestamptz)
{%- endmacro %}

{% macro local_date(instant) -%}
    {%- if var("reporting_timezone") == "UTC" -%}
        cast(make_timestamp(epoch_us({{ instant }})) as date)
    {%- else -%}
        cast(({{ instant }} at time zone '{{ var("reporting_timezone") }}') as date)
    {%- endif -%}
{%- endmacro %}

{% macro local_month(instant) -%}
    cast(date_trunc('month', {{ local_date(instant) }}) as date)
{%- endmacro %}

{% macro days_between(start, end) -%}
    round((epoch({{ end }}) - epoch({{ start }})) / 86400, 2)
{%- endmacro %}

{% macro from_chicago(wall_clock) -%}
    ({{ wall_clock }} at time zone 'America/Chicago')
{%- endmacro %}

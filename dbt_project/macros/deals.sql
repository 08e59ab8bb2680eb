{% macro is_counted() -%}
    (
        not is_deleted
        and (
            not is_hidden
            -- a stub has no stamps
            or (
                coalesce(status in ('won', 'lost'), false)
                and coalesce(updated_at, created_at) is not null
            )
        )
    )
{%- endmacro %}

{% macro is_latest_version(id) -%}
    row_number() over (
        partition by account, {{ id }}
        order by dbt_valid_to is null desc, dbt_valid_from desc
    )
    = 1
{%- endmacro %}

{% macro place_of_stage(stages, rows) -%}
    case
        when {{ stages }}.pipeline_id = {{ rows }}.pipeline_id
        then {{ stages }}.stage_position
    end
{%- endmacro %}

{% macro is_stage_missing(stages, rows) -%}
    coalesce(
        {{ stages }}.is_stage_missing
        or {{ stages }}.pipeline_id <> {{ rows }}.pipeline_id,
        true
    )
{%- endmacro %}

{% macro age_days() -%}
    {%- set end = "coalesce(closed_at, deleted_at, " ~ as_of() ~ ")" -%}
    {{ days_between("created_at", end) }}
{%- endmacro %}

{% macro days_open() -%}
    {%- set end = "coalesce(deleted_at, " ~ as_of() ~ ")" -%}
    case when status = 'open' then {{ days_between("created_at", end) }} end
{%- endmacro %}

{% macro as_of_decision(columns) -%}
    {%- for column in columns -%}
        if(status = 'open', {{ column }}, closed_{{ column }}) as {{ column }}
        {%- if not loop.last %}, {% endif %}
    {%- endfor -%}
{%- endmacro %}

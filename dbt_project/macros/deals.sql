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

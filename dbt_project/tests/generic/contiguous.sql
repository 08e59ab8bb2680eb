{% test contiguous(model, entity, order, starts, ends) %}

    with
        neighbours as (
            select
                {{ entity | join(", ") }},
                {{ starts }} as starts,
                {{ ends }} as ends,
                lead({{ starts }}) over (
                    partition by {{ entity | join(", ") }} order by {{ order }}
                ) as next_starts
            from {{ model }}
        )

    select *
    from neighbours
    where ends is distinct from next_starts or ends < starts or starts is null

{% endtest %}

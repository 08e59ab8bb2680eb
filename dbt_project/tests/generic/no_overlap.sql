{% test no_overlap(model, entity, order, starts, ends) %}

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
    where
        ends < starts
        or next_starts < ends
        or (ends is null and next_starts is not null)

{% endtest %}

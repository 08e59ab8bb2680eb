{% test primary_key(model, columns, may_be_empty=[]) %}

    {%- set id = columns | last %}
    {%- set is_id = columns | length == 2 and id.endswith("_id") %}

    with
        keys as (
            select {{ columns | join(", ") }}
            from {{ model }}
            {% if is_id %}
                -- only where a block has more rows than different ids are rows compared
                where
                    {{ id }} is null
                    or {{ id_block(id) }} in (
                        select {{ id_block(id) }}
                        from {{ model }}
                        group by {{ columns[0] }}, {{ id_block(id) }}
                        having
                            count(*) > bit_count({{ id_bits(id) }})
                            or {{ columns[0] }} is null
                    )
            {% endif %}
        )

    select {{ columns | join(", ") }}, count(*) as row_count
    from keys
    group by all
    having
        count(*) > 1
        {% for column in columns if column not in may_be_empty %}
            or {{ column }} is null
        {% endfor %}

{% endtest %}

{% test relationships_in_account(model, column_name, to, field) %}

    with
        child as (
            select
                account,
                {{ id_block(column_name) }} as block,
                {{ id_bits(column_name) }} as ids
            from {{ model }}
            where {{ column_name }} is not null
            group by all
        ),

        parent as (
            select account, {{ id_block(field) }} as block, {{ id_bits(field) }} as ids
            from {{ to }}
            group by all
        ),

        missing as (
            select account, block, child.ids & ~ coalesce(parent.ids, 0) as ids
            from child
            left join parent using (account, block)
        )

    select account, block * 64 + bit as {{ column_name }}
    from missing
    cross join range(64) as bits(bit)
    where ids & {{ id_bit("bit") }} > 0

{% endtest %}

{% test relationships_in_account(model, column_name, to, field) %}

    with
        child as (
            select account, {{ column_name }} as key_value
            from {{ model }}
            where {{ column_name }} is not null
        ),

        parent as (select account, {{ field }} as key_value from {{ to }})

    select child.account, child.key_value
    from child
    anti join
        parent on child.account = parent.account and child.key_value = parent.key_value

{% endtest %}

{% test between_zero_and_one(model, column_name) %}

    select * from {{ model }} where {{ column_name }} not between 0 and 1

{% endtest %}

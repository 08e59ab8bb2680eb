{%- set parts = ["value", "choices", "currency", "amount"] -%}

{{ config(contract={"enforced": false}) }}

with
    deals as (select * from {{ ref("deals") }}),

    gathered as ({{ latest_values("deal", ref("deal_custom_fields"), parts) }})

select
    account,
    deal_id,
    deals.title,
    {% for column in custom_field_columns("deal") %}
        {{ custom_field_value(column, "gathered.values_by_column", parts) }}
        as "{{ column.name }}",
    {% endfor %}
    coalesce(gathered.filled_fields, 0) as filled_fields,
    deals.is_deleted
from deals
left join gathered using (account, deal_id)

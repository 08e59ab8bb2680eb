{%- set parts = ["value", "choices", "currency", "amount"] -%}

{{ config(contract={"enforced": false}) }}

with
    companies as (select * from {{ ref("stg_activecampaign__accounts") }}),

    gathered as ({{ latest_values("company", ref("company_custom_fields"), parts) }})

select
    account,
    company_id,
    companies.company,
    {% for column in custom_field_columns("company") %}
        {{ custom_field_value(column, "gathered.values_by_column", parts) }}
        as "{{ column.name }}",
    {% endfor %}
    coalesce(gathered.filled_fields, 0) as filled_fields,
    companies.is_deleted
from companies
left join gathered using (account, company_id)

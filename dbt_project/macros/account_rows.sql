{% macro account_rows(stream) -%}
    {%- set account = dbt.escape_single_quotes(var("activecampaign_account")) -%}
    (
        select cast({{ dbt.string_literal(account) }} as varchar) as _account, *
        from {{ source("activecampaign", stream) }}
    )
{%- endmacro %}

{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {{ var("activecampaign_model_prefix") }}
    {{- default__generate_alias_name(custom_alias_name, node) }}
{%- endmacro %}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if var("activecampaign_plain_schemas", project_name == "activecampaign") -%}
        {{ (custom_schema_name or target.schema) | trim }}
    {%- else -%} {{ default__generate_schema_name(custom_schema_name, node) }}
    {%- endif -%}
{%- endmacro %}

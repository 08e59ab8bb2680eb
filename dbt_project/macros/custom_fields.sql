{% macro custom_field_objects() %}
    {{
        return(
            {
                "contact": {
                    "definitions": "stg_activecampaign__custom_fields",
                    "named_by": "personalization_tag",
                },
                "deal": {
                    "definitions": "stg_activecampaign__deal_custom_fields",
                    "values": "stg_activecampaign__deal_custom_field_values",
                    "named_by": "custom_field",
                },
                "company": {
                    "definitions": "stg_activecampaign__account_custom_fields",
                    "values": "stg_activecampaign__account_custom_field_values",
                    "named_by": "custom_field",
                },
            }
        )
    }}
{% endmacro %}

{% macro custom_field_types(object) %}
    {%- set types = {
        "date": "DATE",
        "number": "DOUBLE",
        "checkbox": "VARCHAR[]",
        "listbox": "VARCHAR[]",
        "multiselect": "VARCHAR[]",
    } -%}
    {%- if object == "contact" -%}
        {%- do types.update({"datetime": "TIMESTAMP WITH TIME ZONE"}) -%}
    {%- else -%} {%- do types.update({"currency": "MAP(VARCHAR, DECIMAL(24,4))"}) -%}
    {%- endif -%}
    {{ return(types) }}
{% endmacro %}

{% macro fixed_columns(object) %}
    {%- set own = {
        "contact": ["email", "row_version"],
        "deal": ["title"],
        "company": ["company"],
    } -%}
    {{
        return(
            ["account", object ~ "_id", "filled_fields", "is_deleted"] + own[object]
        )
    }}
{% endmacro %}

{% macro custom_field_columns(object) %}
    {%- set columns = [] -%}
    {%- set known = ref("int_custom_fields__columns") -%}
    {#- a table that has columns must not lose them where they are not known yet -#}
    {%- if execute and (is_incremental() or load_relation(known)) -%}
        {%- set found = run_query(
            "select distinct column_name, column_type, column_position from "
            ~ known
            ~ " where object = '"
            ~ object
            ~ "' order by column_position"
        ) -%}
        {%- for name, type, position in found.rows -%}
            {%- do columns.append(
                {"name": name, "type": type, "position": position}
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(columns) }}
{% endmacro %}

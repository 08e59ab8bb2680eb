{{ custom_field_definitions("deal_custom_fields") }}

{{ custom_field_definitions("account_custom_fields") }}

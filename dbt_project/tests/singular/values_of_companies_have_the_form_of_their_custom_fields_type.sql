{{ malformed_values("company_custom_fields") }}

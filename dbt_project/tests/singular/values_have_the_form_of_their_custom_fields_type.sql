{{ malformed_values("contact_custom_fields") }}

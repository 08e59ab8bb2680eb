{{ malformed_values("deal_custom_fields") }}

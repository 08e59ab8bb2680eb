{{
    custom_field_values_of(
        "deal_custom_field_values", "dealid", "deal_id", "dealcustomfieldmetumid"
    )
}}

{{
    custom_field_values_of(
        "account_custom_field_values",
        "accountid",
        "company_id",
        "accountcustomfieldmetumid",
    )
}}

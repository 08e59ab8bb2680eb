with
    source as (select * from {{ account_rows("account_custom_field_values") }}),

    currencies as (select * from {{ ref("currency_decimals") }}),

    renamed as (
        select
            -- ids
            source._account as account,
            source.id as custom_field_value_id,
            {{ present_id("source.accountid") }} as company_id,
            coalesce(
                {{ present_id("source.customfieldid") }},
                {{ present_id("source.accountcustomfieldmetumid") }}
            ) as custom_field_id,

            -- strings
            {{ present_text("source.fieldvalue") }} as value,
            upper({{ present_text("source.custom_field_currency_type") }}) as currency,

            -- numerics
            currencies.decimals as currency_decimals,

            -- booleans
            source._deleted_at is not null as is_deleted,

            -- timestamps
            source.createdtimestamp as created_at,
            source.updatedtimestamp as updated_at,
            source._deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
        left join
            currencies
            on upper({{ present_text("source.custom_field_currency_type") }})
            = currencies.currency
    )

select *
from renamed

{% macro custom_field_definitions(stream) -%}
    with
        source as (select * from {{ account_rows(stream) }}),

        renamed as (
            select
                -- ids
                _account as account,
                id as custom_field_id,

                -- strings
                {{ present_text("fieldlabel") }} as custom_field,
                {{ present_text("personalization") }} as personalization_tag,
                lower({{ present_text("fieldtype") }}) as field_type,
                {{ present_text("fielddefault") }} as default_value,
                fieldoptions as options,

                -- numerics
                displayorder as field_order,

                -- booleans
                coalesce(isrequired, 0) = 1 as is_required,
                coalesce(hidefieldflag, 0) = 0 as is_visible,
                _deleted_at is not null as is_deleted,

                -- timestamps
                createdtimestamp as created_at,
                updatedtimestamp as updated_at,
                _deleted_at as deleted_at,
                {{ observed_at("source") }} as observed_at
            from source
        )

    select *
    from renamed
{%- endmacro %}

{% macro custom_field_values_of(stream, owner, owner_id, definition) -%}
    with
        source as (select * from {{ account_rows(stream) }}),

        currencies as (select * from {{ ref("currency_decimals") }}),

        renamed as (
            select
                -- ids
                source._account as account,
                source.id as custom_field_value_id,
                {{ present_id("source." ~ owner) }} as {{ owner_id }},
                coalesce(
                    {{ present_id("source.customfieldid") }},
                    {{ present_id("source." ~ definition) }}
                ) as custom_field_id,

                -- strings
                {{ present_text("source.fieldvalue") }} as value,
                upper(
                    {{ present_text("source.custom_field_currency_type") }}
                ) as currency,

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
{%- endmacro %}

{% macro link_openings(stream) -%}
    with
        source as (select * from {{ account_rows(stream) }}),

        renamed as (
            select
                -- ids
                _account as account,
                id as {{ stream }}_id,
                {{ present_id("subscriberid") }} as contact_id,
                {{ present_id("campaignid") }} as campaign_id,
                coalesce(
                    {{ present_id("link") }}, {{ present_id("linkid") }}
                ) as link_id,
                {{ present_id("messageid") }} as message_id,

                -- numerics
                isread as read_code,
                times as hits,

                -- booleans
                _deleted_at is not null as is_deleted,

                -- timestamps
                tstamp as recorded_at,
                _deleted_at as deleted_at,
                {{ observed_at("source") }} as observed_at
            from source
        )

    select *
    from renamed
{%- endmacro %}

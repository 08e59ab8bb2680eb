{% macro described_values(object) -%}
    {%- set source = custom_field_objects()[object] -%}
    {%- set types = dict(custom_field_types(object), currency="BIGINT") -%}
    select
        -- ids
        account,
        custom_field_values.custom_field_value_id,
        custom_field_values.{{ object }}_id,
        custom_field_id,

        -- strings
        custom_fields.custom_field,
        custom_fields.personalization_tag,
        custom_fields.field_type,
        custom_field_values.value,
        custom_field_values.currency,
        case
            when not {{ has_choices("custom_fields.field_type") }}
            then null
            when
                starts_with(custom_field_values.value, '[')
                and json_valid(custom_field_values.value)
            then from_json(custom_field_values.value, '["VARCHAR"]')
            else {{ choices("custom_field_values.value") }}
        end as choices,

        -- numerics
        case
            when custom_fields.field_type = 'currency'
            then
                {{
                    currency_units(
                        typed("custom_field_values.value", "BIGINT"),
                        "custom_field_values.currency_decimals",
                    )
                }}
        end as amount,

        -- booleans
        custom_fields.custom_field_id is null as is_field_missing,
        {{
            is_malformed(
                "custom_field_values.value", "custom_fields.field_type", types
            )
        }} as is_malformed,
        custom_field_values.is_deleted,

        -- timestamps
        custom_field_values.created_at,
        custom_field_values.updated_at,
        custom_field_values.deleted_at
    from {{ ref(source["values"]) }} as custom_field_values
    left join
        {{ ref(source["definitions"]) }} as custom_fields using (
            account, custom_field_id
        )
{%- endmacro %}

{% macro latest_values(object, rows, parts) -%}
    select
        account,
        {{ object }}_id,
        count(*) as filled_fields,
        map_from_entries(
            list((column_position, latest)) filter (where column_position is not null)
        ) as values_by_column
    from
        (
            select
                account,
                {{ object }}_id,
                custom_field_id,
                column_position,
                arg_max(
                    struct_pack(
                        {% for part in parts %}
                            {{ part }} := {{ part }}{{ "," if not loop.last }}
                        {% endfor %}
                    ),
                    (coalesce(updated_at, created_at), custom_field_value_id)
                ) as latest
            from {{ rows }}
            left join
                (
                    select account, custom_field_id, column_position
                    from {{ ref("int_custom_fields__columns") }}
                    where object = '{{ object }}'
                ) using (account, custom_field_id)
            where not is_deleted and value is not null and custom_field_id is not null
            group by all
        )
    group by all
{%- endmacro %}

{% macro custom_field_value(column, values_by_column, parts) -%}
    {%- set found = values_by_column ~ "[" ~ column.position ~ "]" -%}
    {%- if column.type == "VARCHAR[]" and "choices" in parts -%} {{ found }}.choices
    {%- elif column.type == "VARCHAR[]" -%} {{ choices(found ~ ".value") }}
    {%- elif column.type.startswith("MAP") -%}
        case
            when {{ found }}.amount is not null
            then map{coalesce({{ found }}.currency, 'unknown'):{{ found }}.amount}
        end
    {%- else -%} {{ typed(found ~ ".value", column.type) }}
    {%- endif -%}
{%- endmacro %}

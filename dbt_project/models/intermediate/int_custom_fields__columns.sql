{{ config(materialized="table") }}

with recursive
    custom_fields as (
        {% for object, fields in custom_field_objects().items() %}
            select
                account,
                custom_field_id,
                '{{ object }}' as object,
                case
                    field_type
                    {% for name, type in custom_field_types(object).items() %}
                        when '{{ name }}' then '{{ type }}'
                    {% endfor %}
                    else 'VARCHAR'
                end as column_type,
                coalesce({{ fields.named_by }}, '') as label,
                {{ fixed_columns(object) }} as fixed_columns
            from {{ ref(fields.definitions) }}
            where not is_deleted
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    -- a capital dotted I has always become i and an underscore
    plain as (
        select
            *,
            trim(
                regexp_replace(
                    lower(replace(label, 'İ', 'i_')), '[^a-z0-9]+', '_', 'g'
                ),
                '_'
            ) as words
        from custom_fields
    ),

    lettered as (
        select
            *,
            case
                when words = ''
                then 'field_' || custom_field_id
                when words[1] between '0' and '9'
                then 'field_' || words
                else words
            end as name
        from plain
    ),

    allowed as (
        select
            * exclude (label, fixed_columns, words, name),
            case
                when
                    list_contains(fixed_columns, name)
                    or name in (
                        select keywords.keyword_name
                        from duckdb_keywords() as keywords
                        where keywords.keyword_category = 'reserved'
                    )
                then name || '_field'
                else name
            end as column_name
        from lettered
    ),

    -- of fields with one name the oldest keeps it; what the id makes of another's may
    -- be taken, too
    renamed as (
        select *, 0 as round
        from allowed
        union all
        select
            * exclude (column_name, is_taken, round),
            case
                when is_taken
                then column_name || '_' || custom_field_id
                else column_name
            end as column_name,
            round + 1 as round
        from
            (
                select
                    *,
                    custom_field_id > min(custom_field_id) over (
                        partition by account, object, column_name
                    ) as is_taken
                from renamed
            )
        qualify bool_or(is_taken) over ()
    ),

    settled as (select * from renamed qualify round = max(round) over ()),

    placed as (
        select
            *,
            row_number() over (
                partition by object order by account, custom_field_id
            ) as field_position
        from settled
    )

select
    account,
    custom_field_id,
    object,
    column_name,
    case
        when min(column_type) over same_column = max(column_type) over same_column
        then column_type
        else 'VARCHAR'
    end as column_type,
    min(field_position) over same_column as column_position
from placed
window same_column as (partition by object, column_name)

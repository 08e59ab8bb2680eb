{% macro duckdb__snapshot_get_time() -%}
    {%- set stream = config.get("meta", {}).get("stream") -%}
    {%- if stream -%} {{ synced_at(stream, "snapshotted_data.account") }}
    {%- else -%} cast('{{ run_started_at }}' as timestamptz)
    {%- endif -%}
{%- endmacro %}

{% macro get_snapshot_get_time_data_type() -%}
    {{ return("TIMESTAMP WITH TIME ZONE") }}
{%- endmacro %}

{% macro mend_versions(key) -%}
    {%- set key = key | join(", ") -%}
    {%- set is_out_of_order -%}
        select
            exists (select 1 from {{ this }} where dbt_valid_from >= dbt_valid_to)
            or exists (select 1 from ({{ other_versions(key) }}))
    {%- endset -%}
    {%- if execute and single_value(is_out_of_order) -%}
        {%- for mended in [followed_versions(key), other_versions(key)] -%}
            {%- do run_query(
                "update "
                ~ this
                ~ " as versions set dbt_valid_from= mended.valid_from, "
                ~ "dbt_valid_to = mended.valid_to from ("
                ~ mended
                ~ ") as mended where versions.rowid = mended.row_id"
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro followed_versions(key) -%}
    with recursive
        mended as (
            select
                {{ key }},
                rowid as row_id,
                dbt_valid_from as stamp,
                dbt_valid_to - interval 1 microsecond as valid_from,
                dbt_valid_to as valid_to,
                1 as step
            from {{ this }}
            where dbt_valid_from >= dbt_valid_to
            union all
            select
                {{ key }},
                earlier.rowid as row_id,
                earlier.dbt_valid_from as stamp,
                least(
                    earlier.dbt_valid_from, mended.valid_from - interval 1 microsecond
                ) as valid_from,
                mended.valid_from as valid_to,
                mended.step + 1 as step
            from mended
            inner join {{ this }} as earlier using ({{ key }})
            where
                earlier.dbt_valid_to = mended.stamp
                and earlier.rowid <> mended.row_id
                and mended.valid_from < mended.stamp
                and mended.step < 10000
        )

    select row_id, min(valid_from) as valid_from, min(valid_to) as valid_to
    from mended
    group by row_id
{%- endmacro %}

{% macro other_versions(key) -%}
    select
        ended.row_id,
        least(
            ended.dbt_valid_from, present.dbt_valid_from - to_microseconds(place)
        ) as valid_from,
        present.dbt_valid_from - to_microseconds(place - 1) as valid_to
    from
        (
            select
                *,
                rowid as row_id,
                row_number() over (
                    partition by {{ key }}
                    order by dbt_valid_to is null desc, dbt_valid_from desc
                )
                - 1 as place
            from {{ this }}
        ) as ended
    inner join {{ this }} as present using ({{ key }})
    where present.dbt_valid_to is null and ended.dbt_valid_to > present.dbt_valid_from
{%- endmacro %}

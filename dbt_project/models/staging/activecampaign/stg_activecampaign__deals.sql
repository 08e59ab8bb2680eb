with
    source as (select * from {{ account_rows("deals") }}),

    currencies as (select * from {{ ref("currency_decimals") }}),

    renamed as (
        select
            -- ids
            source._account as account,
            source.id as deal_id,
            {{ present_id("source.contact") }} as contact_id,
            {{ present_id("source.owner") }} as owner_id,
            {{ present_id('source."group"') }} as pipeline_id,
            {{ present_id("source.stage") }} as stage_id,
            coalesce(
                {{ present_id("source.customeraccount") }},
                {{ present_id("source.account") }}
            ) as company_id,
            {{ present_id("source.nexttaskid") }} as next_task_id,

            -- strings
            {{ present_text("source.title") }} as title,
            {{ present_text("source.description") }} as description,
            upper({{ present_text("source.currency") }}) as currency,
            case
                source.status when 0 then 'open' when 1 then 'won' when 2 then 'lost'
            end as status,

            -- numerics
            source.value as value_minor_units,
            {{ currency_units("source.value", "currencies.decimals") }} as value,
            source.winprobability as win_probability_percent,
            source.activitycount as activity_count,

            -- booleans
            source._hidden_at is not null as is_hidden,
            source._deleted_at is not null as is_deleted,

            -- timestamps
            source.cdate as created_at,
            source.mdate as updated_at,
            source.nextdate as next_action_at,
            source._hidden_at as hidden_at,
            source._deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
        left join
            currencies
            on upper({{ present_text("source.currency") }}) = currencies.currency
    ),

    judged as (select *, {{ is_counted() }} as is_counted from renamed)

select *
from judged

with
    observations as (
        select
            *,
            case
                status when 'open' then 0 when 'won' then 1 when 'lost' then 2
            end as status_id
        from {{ ref("int_deals__observations") }}
    ),

    -- a hidden or deleted deal shows what was last seen
    seen as (
        select
            account,
            deal_id,
            unnest(
                [
                    {'attribute':'pipeline', 'new_value':pipeline_id},
                    {'attribute':'stage', 'new_value':stage_id},
                    {'attribute':'value', 'new_value':value_minor_units},
                    {'attribute':'status', 'new_value':status_id}
                ],
                recursive := true
            ),
            kind,
            is_decided,
            observation_number,
            known_at,
            starts_at,
            is_start_known
        from observations
        where
            kind in ('created', 'decided', 'changed', 'confirmed')
            and not ((is_hidden or is_deleted) and coalesce(is_same_content, false))
    ),

    -- that a decided deal was open at first is no sighting
    statuses_once as (
        select *
        from seen
        where
            case
                kind
                when 'created'
                then attribute <> 'status' or not coalesce(is_decided, false)
                when 'decided'
                then attribute = 'status'
                else true
            end
    ),

    activities as (
        select *
        from {{ ref("int_deals__activities") }}
        inner join
            (
                select account, deal_id, known_until
                from observations
                where kind = 'created'
            ) using (account, deal_id)
        where changed_at <= known_until
    )

select
    account,
    deal_id,
    attribute,
    observation_number as place,
    new_value as old_value,
    new_value,
    null as changed_by_id,
    false as is_activity,
    kind in ('created', 'decided') as is_first_sight,
    is_start_known,
    known_at,
    starts_at
from statuses_once
union all
select
    account,
    deal_id,
    attribute,
    deal_activity_id as place,
    old_value,
    new_value,
    changed_by_id,
    true as is_activity,
    false as is_first_sight,
    true as is_start_known,
    changed_at as known_at,
    changed_at as starts_at
from activities

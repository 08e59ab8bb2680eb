with
    activities as (select * from {{ ref("stg_activecampaign__deal_activities") }}),

    -- what the changes are of, with the old and the new value as numbers
    read as (
        select
            account,
            deal_id,
            deal_activity_id,
            case
                activity_type
                when 'd_stageid'
                then 'stage'
                when 'd_groupid'
                then 'pipeline'
                when 'status'
                then 'status'
                when 'value'
                then 'value'
            end as attribute,
            {{ whole_number("old_value") }} as old_value,
            {{ whole_number("new_value") }} as new_value,
            created_at as changed_at,
            user_id as changed_by_id
        from activities
    )

select *
from read
where
    deal_id is not null
    and changed_at is not null
    and new_value is not null
    and new_value is distinct from old_value
    and (
        attribute in ('pipeline', 'value')
        or (attribute = 'stage' and new_value > 0)
        or (attribute = 'status' and new_value between 0 and 2)
    )

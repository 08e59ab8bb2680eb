with
    memberships as (
        select *
        from {{ ref("stg_activecampaign__user_groups") }}
        where not is_deleted and user_id is not null and group_id is not null
    ),

    users as (select * from {{ ref("int_users__known") }}),

    groups as (select * from {{ ref("stg_activecampaign__groups") }}),

    described as (
        select distinct
            account,
            user_id,
            group_id,
            groups.team,
            users.full_name as user_name,
            coalesce(users.is_user_missing, true) as is_user_missing
        from memberships
        left join users using (account, user_id)
        left join groups using (account, group_id)
    )

select *
from described

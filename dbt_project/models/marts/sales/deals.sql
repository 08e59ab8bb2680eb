with
    deals as (select * from {{ ref("int_deals__described") }}),

    contacts as (select * from {{ ref("contacts") }} where not is_deleted),

    named as (
        select
            deals.*,
            contacts.full_name as contact,
            contacts.email as contact_email,
            deals.contact_id is not null
            and contacts.contact_id is null as is_contact_missing
        from deals
        left join contacts using (account, contact_id)
    ),

    aged as (
        select
            -- ids
            account,
            deal_id,
            contact_id,
            owner_id,
            pipeline_id,
            stage_id,
            company_id,

            -- strings
            title,
            contact,
            contact_email,
            owner,
            pipeline,
            stage,
            status,
            currency,

            -- numerics
            value,
            stage_position,
            win_probability_percent,
            activity_count,
            {{ days_between("created_at", "coalesce(closed_at, " ~ as_of() ~ ")") }}
            as age_days,
            case
                when status = 'open' then {{ days_between("created_at", as_of()) }}
            end as days_open,
            {{ days_between("created_at", "closed_at") }} as days_to_close,

            -- booleans
            is_counted,
            is_hidden,
            is_deleted,
            is_contact_missing,
            is_owner_missing,
            is_pipeline_missing,
            is_stage_missing,
            is_closed_at_known,

            -- timestamps
            created_at,
            updated_at,
            closed_at,
            next_action_at,
            hidden_at,
            deleted_at,
            {{ local_date("created_at") }} as created_date,
            {{ local_month("created_at") }} as created_month,
            {{ local_date("closed_at") }} as closed_date,
            {{ local_month("closed_at") }} as closed_month
        from named
    )

select *
from aged

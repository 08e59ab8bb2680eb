with
    deals as (
        select * from {{ ref("deals") }} where is_counted and contact_id is not null
    ),

    memberships as (
        select *
        from {{ ref("list_memberships") }}
        where status in ('subscribed', 'unsubscribed')
    ),

    engagement as (select * from {{ ref("email_engagement") }}),

    entries as (
        select account, contact_id, automation_id, automation, entered_at
        from {{ ref("stg_activecampaign__contact_automations") }}
        left join
            {{ ref("stg_activecampaign__automations") }} using (account, automation_id)
    ),

    -- of touches at the same instant, the one of the lowest rank comes first
    touches as (
        select
            account,
            contact_id,
            1 as rank,
            'form' as touch_type,
            form_id as touch_id,
            form as touch,
            subscribed_at as touched_at
        from memberships
        where form_id is not null
        {% for stamp in ("first_clicked_at", "last_clicked_at") %}
            union all
            select
                account,
                contact_id,
                2,
                'campaign click',
                campaign_id,
                campaign,
                {{ stamp }}
            from engagement
        {% endfor %}
        {% for stamp in ("first_opened_at", "last_opened_at") %}
            union all
            select
                account,
                contact_id,
                3,
                'campaign open',
                campaign_id,
                campaign,
                {{ stamp }}
            from engagement
        {% endfor %}
        union all
        select account, contact_id, 4, 'list', list_id, list, subscribed_at
        from memberships
        union all
        select account, contact_id, 5, 'tag', tag_id, tag, tagged_at
        from {{ ref("contact_tags") }}
        union all
        select
            account, contact_id, 6, 'automation', automation_id, automation, entered_at
        from entries
    ),

    touched as (
        select
            account,
            deals.deal_id,
            min_by(touches, (touched_at, rank, touch_id)) as first_touch,
            max_by(touches, (touched_at, - rank, - touch_id)) as last_touch
        from deals
        inner join touches using (account, contact_id)
        where touches.touched_at <= deals.created_at
        group by all
    ),

    credited as (
        {% for model in ("first", "last") %}
            select deals.*, '{{ model }}' as model, {{ model }}_touch as credit
            from deals
            left join touched using (account, deal_id)
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select
    -- ids
    account,
    deal_id,
    contact_id,
    credit.touch_id,

    -- strings
    model,
    credit.touch_type,
    credit.touch,
    status,
    currency,

    -- numerics
    value,
    {{ days_between("credit.touched_at", "created_at") }} as days_to_deal,

    -- timestamps
    credit.touched_at,
    created_at,
    closed_at
from credited

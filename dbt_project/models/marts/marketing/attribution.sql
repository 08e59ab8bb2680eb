with
    -- what was won or lost is worth what it was then, in the currency of then
    deals as (
        select * replace ({{ as_of_decision(["currency", "value"]) }})
        from {{ ref("deals") }}
        where is_counted and contact_id is not null
    ),

    -- of touches at the same instant, the one of the lowest rank comes first
    touches as (
        select
            *,
            list_position(
                [
                    'form',
                    'campaign click',
                    'campaign open',
                    'list',
                    'tag',
                    'automation'
                ],
                touch_type
            ) as rank
        from {{ ref("touches") }}
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

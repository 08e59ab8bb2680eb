-- by account and currency: how many deals that count there are, and what they are
-- worth,
-- or what decided ones were worth when they were decided
{%- set decided = ["won_deals", "lost_deals", "won_value", "lost_value"] %}
{%- set all = ["deals", "open_deals", "open_value"] + decided %}
{%- set marts = {
    "deals": all,
    "pipelines": all,
    "pipeline_stages": all,
    "owner_performance": all,
    "win_rates": decided,
    "forecast": ["open_deals", "open_value"],
} %}

with
    {% for name, relation in {
        "expected": ref("stg_activecampaign__deals"),
        "deals": ref("deals"),
        "decided": ref("deals"),
    }.items() %}
        {%- set then = "closed_" if name == "decided" else "" %}
        {{ name }} as (
            select
                account,
                coalesce(
                    if(status = 'open', currency, {{ then }}currency), 'unknown'
                ) as currency,
                count(*) as deals,
                count(*) filter (where status = 'open') as open_deals,
                count(*) filter (where status = 'won') as won_deals,
                count(*) filter (where status = 'lost') as lost_deals,
                sum(value) filter (where status = 'open') as open_value,
                sum({{ then }}value) filter (where status = 'won') as won_value,
                sum({{ then }}value) filter (where status = 'lost') as lost_value
            from {{ relation }}
            where is_counted
            group by 1, 2
        ),
    {% endfor %}
    {% for mart, figures in marts.items() if mart != "deals" %}
        {{ mart }} as (
            select
                account,
                currency,
                {% for figure in figures %}
                    sum({{ figure }}) as {{ figure }},
                {% endfor %}
            from {{ ref(mart) }}
            group by account, currency
        ),
    {% endfor %}
    differences as (
        {% for mart, figures in marts.items() %}
            {%- set expected = "expected" if mart == "deals" else "decided" %}
            select
                '{{ mart }}' as mart,
                account,
                currency,
                {% for figure in all %}
                    {% if figure in figures %}
                        coalesce({{ mart }}.{{ figure }}, 0)
                        - coalesce({{ expected }}.{{ figure }}, 0)
                    {% else %} 0
                    {% endif %} as {{ figure }},
                {% endfor %}
            from {{ expected }}
            full join {{ mart }} using (account, currency)
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select *
from differences
where
    {% for figure in all %}
        {{ figure }} <> 0 {% if not loop.last %} or {% endif %}
    {% endfor %}

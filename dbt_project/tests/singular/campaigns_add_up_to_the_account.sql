(
    select account, count(*) as campaigns, sum(sends) as sends, sum(opens) as opens
    from {{ ref("stg_activecampaign__campaigns") }}
    group by account
)
except
(
    select account, count(*), sum(sends), sum(opens)
    from {{ ref("campaign_performance") }}
    group by account
)

with
    open_deals as (
        select account, deal_id, stage_id
        from {{ ref("deals") }}
        where status = 'open' and is_counted and stage_id is not null
    ),

    current_visits as (
        select account, deal_id, stage_id
        from {{ ref("deal_stage_history") }}
        where is_current
    )

    (
        select *
        from open_deals
        except
        select *
        from current_visits
    )
union all
(
    select *
    from current_visits
    except
    select *
    from open_deals
)

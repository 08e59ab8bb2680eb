with
    campaigns as (select * from {{ ref("stg_activecampaign__campaigns") }}),

    messages as (select * from {{ ref("int_campaigns__messages") }}),

    counted as (
        select
            campaigns.*,
            messages.* exclude (account, campaign_id),
            sends - coalesce(hard_bounces, 0) - coalesce(soft_bounces, 0) as delivered,
            hard_bounces + soft_bounces as bounces,
            opens - verified_opens as unverified_opens,
            unique_opens - verified_unique_opens as unverified_unique_opens,
            case when are_opens_tracked then unique_opens end as tracked_opens,
            case
                when are_opens_tracked then verified_unique_opens
            end as tracked_verified_opens,
            case
                when sends > 0 then coalesce(sent_at, last_sent_at)
            end as first_sent_at
        from campaigns
        left join messages using (account, campaign_id)
    ),

    rated as (
        select
            -- ids
            account,
            campaign_id,
            automation_id,

            -- strings
            campaign,
            campaign_type,
            status,
            status_label,
            subject,
            sender,
            sender_email,

            -- numerics
            recipients,
            sends,
            delivered,
            opens,
            unique_opens,
            verified_opens,
            verified_unique_opens,
            unverified_opens,
            unverified_unique_opens,
            clicks,
            unique_clicks,
            clickers,
            hard_bounces,
            soft_bounces,
            bounces,
            unsubscribes,
            forwards,
            replies,
            {{ ratio("tracked_opens", "sends") }} as open_rate,
            {{ ratio("tracked_opens", "delivered") }} as open_rate_of_delivered,
            {{ ratio("tracked_verified_opens", "sends") }} as verified_open_rate,
            {{ ratio("clickers", "sends") }} as click_rate,
            {{ ratio("clickers", "delivered") }} as click_rate_of_delivered,
            {{ ratio("clickers", "tracked_opens") }} as click_to_open_rate,
            {{ ratio("bounces", "sends") }} as bounce_rate,
            {{ ratio("unsubscribes", "sends") }} as unsubscribe_rate,
            {{ ratio("unsubscribes", "delivered") }} as unsubscribe_rate_of_delivered,

            -- booleans
            automation_id is not null as is_automated,
            are_opens_tracked,
            is_deleted,

            -- timestamps
            created_at,
            sent_at,
            last_sent_at,
            counted_at,
            deleted_at,
            {{ local_date("first_sent_at") }} as sent_date,
            {{ local_month("first_sent_at") }} as sent_month
        from counted
    )

select *
from rated

-- Built for the contacts whose `row_version` has changed, otherwise left as it is.
-- After a change of this SQL: `dbt build --full-refresh --select contacts+`.
{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key=["account", "contact_id"],
        on_schema_change="append_new_columns",
        pre_hook="{{ drop_former_columns() }}",
        post_hook="{{ delete_vanished('stg_activecampaign__contacts', ['account', 'contact_id']) }}",
    )
}}

with
    contacts as not materialized(
        select * from {{ ref("stg_activecampaign__contacts") }}
    ),

    {% for name in ["deal_totals", "custom_fields", "subscriptions"] %}
        {{ name }} as not materialized(
            select * from {{ ref("int_contacts__" ~ name) }}
        ),
    {% endfor %}

    -- changes whenever something in the contact's row does
    versions as (
        select
            account,
            contact_id,
            hash(
                contacts.observed_at,
                contacts.time_zone,
                custom_fields.fingerprint,
                deal_totals.fingerprint,
                subscriptions.subscribed_lists,
                subscriptions.status,
                subscriptions.last_form_at,
                '{{ reporting_timezone() }}'
            ) as row_version
        from contacts
        left join deal_totals using (account, contact_id)
        left join custom_fields using (account, contact_id)
        left join subscriptions using (account, contact_id)
    ),

    due_contacts as (
        select versions.*
        from versions
        -- tables of before lack the column, and all their rows are due
        {% if is_loaded_with("subscribed_lists") %}
            anti join {{ this }} using (account, contact_id, row_version)
        {% endif %}
    )

select
    -- ids
    account,
    contact_id,
    contacts.organization_id,

    -- strings
    contacts.email,
    contacts.first_name,
    contacts.last_name,
    contacts.full_name,
    contacts.phone,
    contacts.organization,
    case
        when contacts.is_deleted
        then 'deleted'
        when contacts.is_anonymized
        then 'anonymized'
        when contacts.email is null
        then 'no e-mail'
        when contacts.hard_bounces > 0
        then 'bounced'
        else coalesce(subscriptions.status, 'not bounced')
    end as status,
    coalesce(contacts.custom_fields, custom_fields.custom_fields) as custom_fields,

    -- numerics
    contacts.mails_received,
    contacts.hard_bounces,
    contacts.soft_bounces,
    coalesce(subscriptions.subscribed_lists, 0) as subscribed_lists,
    coalesce(deal_totals.deals, 0) as deals,
    coalesce(deal_totals.open_deals, 0) as open_deals,
    coalesce(deal_totals.won_deals, 0) as won_deals,
    coalesce(deal_totals.lost_deals, 0) as lost_deals,
    deal_totals.open_value_by_currency,
    deal_totals.won_value_by_currency,
    deal_totals.deal_list,

    -- booleans
    contacts.is_anonymized,
    contacts.is_deleted,

    -- timestamps
    contacts.created_at,
    contacts.updated_at,
    contacts.last_opened_at,
    contacts.last_clicked_at,
    contacts.last_machine_opened_at,
    subscriptions.last_form_at,
    greatest(last_opened_at, last_clicked_at, last_form_at) as last_engaged_at,
    deal_totals.last_deal_updated_at as last_deal_change_at,
    contacts.deleted_at,
    {{ local_date("contacts.created_at") }} as created_date,
    {{ local_month("contacts.created_at") }} as created_month,
    due_contacts.row_version
from due_contacts
inner join contacts using (account, contact_id)
left join deal_totals using (account, contact_id)
left join subscriptions using (account, contact_id)
left join
    (
        select account, contact_id, custom_fields.custom_fields
        from custom_fields
        semi join due_contacts using (account, contact_id)
    ) as custom_fields using (account, contact_id)

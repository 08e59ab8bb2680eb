with
    source as (select * from {{ account_rows("contacts") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as contact_id,
            {{ present_id("orgid") }} as organization_id,

            -- strings
            {{ present_text("email") }} as email,
            {{ present_text("firstname") }} as first_name,
            {{ present_text("lastname") }} as last_name,
            {{ present_text("concat_ws(' ', trim(firstname), trim(lastname))") }}
            as full_name,
            {{ present_text("phone") }} as phone,
            {{ present_text("orgname") }} as organization,
            customfields as custom_fields,
            _time_zone as time_zone,

            -- numerics
            bounced_hard as hard_bounces,
            bounced_soft as soft_bounces,
            sentcnt as mails_received,

            -- booleans
            coalesce(anonymized, 0) = 1 as is_anonymized,
            _deleted_at is not null or coalesce(deleted, 0) = 1 as is_deleted,

            -- timestamps
            cdate as created_at,
            udate as updated_at,
            {{ from_account_clock("last_open_date") }} as last_opened_at,
            {{ from_account_clock("last_click_date") }} as last_clicked_at,
            {{ from_account_clock("last_mpp_open_date") }} as last_machine_opened_at,
            coalesce(_deleted_at, {{ from_account_clock("deleted_at") }}) as deleted_at,
            greatest(_synced_at, _deleted_at) as observed_at
        from source
    )

select *
from renamed

with
    source as (select * from {{ account_rows("account_contacts") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as account_contact_id,
            {{ present_id("account") }} as company_id,
            {{ present_id("contact") }} as contact_id,

            -- strings
            {{ present_text("jobtitle") }} as job_title,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            createdtimestamp as created_at,
            updatedtimestamp as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

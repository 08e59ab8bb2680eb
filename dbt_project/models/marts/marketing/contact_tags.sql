with
    contact_tags as (select * from {{ ref("stg_activecampaign__contact_tags") }}),

    tags as (select * from {{ ref("stg_activecampaign__tags") }})

select
    -- ids
    account,
    contact_tags.contact_tag_id,
    contact_tags.contact_id,
    tag_id,

    -- strings
    tags.tag,

    -- booleans
    coalesce(tags.is_deleted, true) as is_tag_missing,
    contact_tags.is_deleted,

    -- timestamps
    contact_tags.tagged_at,
    contact_tags.deleted_at,
    {{ local_date("contact_tags.tagged_at") }} as tagged_date,
    {{ local_month("contact_tags.tagged_at") }} as tagged_month
from contact_tags
left join tags using (account, tag_id)

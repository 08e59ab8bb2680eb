-- a row per field, in the result their sum
select account, custom_field_id, custom_field, count(*) as malformed_values
from {{ ref("contact_custom_fields") }}
where is_malformed and not is_deleted
group by all

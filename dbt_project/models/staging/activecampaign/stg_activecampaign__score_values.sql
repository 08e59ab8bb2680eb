with
    source as (select * from {{ account_rows("score_values") }}),

    renamed as (
        select
            -- ids
            _account as account,
            id as score_value_id,
            contact as contact_id,
            score as score_id,

            -- numerics
            scorevalue as points,

            -- booleans
            _deleted_at is not null as is_deleted,

            -- timestamps
            cdate as created_at,
            mdate as updated_at,
            _deleted_at as deleted_at,
            {{ observed_at("source") }} as observed_at
        from source
    )

select *
from renamed

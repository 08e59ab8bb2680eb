with
    days as (
        select
            cast(
                unnest(
                    generate_series(
                        date '2003-01-01',
                        date_trunc('year', {{ local_date(as_of()) }})
                        + interval '12 months'
                        - interval '1 day',
                        interval '1 day'
                    )
                ) as date
            ) as day
    ),

    described as (
        select
            day,
            cast(date_trunc('week', day) as date) as week,
            cast(date_trunc('month', day) as date) as month,
            cast(date_trunc('quarter', day) as date) as quarter,
            cast(date_trunc('year', day) as date) as year,
            isodow(day) as weekday,
            isodow(day) <= 5 as is_weekday
        from days
    )

select *
from described

with described as ({{ described_values("deal") }}) select * from described

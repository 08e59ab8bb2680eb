with described as ({{ described_values("company") }}) select * from described

select account, pipeline, currency, won_deals
from {{ ref("activecampaign", "pipelines") }}

"""Where callers still look for the two walks; see id_walk.py and created_walk.py."""

from activecampaign_dagster.api.created_walk import CreatedWalk
from activecampaign_dagster.api.id_walk import IdWalk

__all__ = ["CreatedWalk", "IdWalk"]

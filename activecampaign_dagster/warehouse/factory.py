"""The warehouse at a location."""

from __future__ import annotations

from activecampaign_dagster.warehouse.file import FileWarehouse
from activecampaign_dagster.warehouse.lake import LakeWarehouse
from activecampaign_dagster.warehouse.location import Engine, Location
from activecampaign_dagster.warehouse.motherduck import MotherDuckWarehouse
from activecampaign_dagster.warehouse.warehouse import Warehouse

_KINDS: dict[Engine, type[FileWarehouse | LakeWarehouse | MotherDuckWarehouse]] = {
    Engine.FILE: FileWarehouse,
    Engine.LAKE: LakeWarehouse,
    Engine.MOTHERDUCK: MotherDuckWarehouse,
}


def warehouse_at(location: Location) -> Warehouse:
    """The warehouse at a location; nothing is opened yet."""
    return _KINDS[location.engine](location)

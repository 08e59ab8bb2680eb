"""The fixtures of the syncs: tables are filled in no other way."""

from tests.sync.conftest import first_sync, sandbox, synced, warehouse

__all__ = ["first_sync", "sandbox", "synced", "warehouse"]

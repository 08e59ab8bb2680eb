"""Retries without their waits."""

from tests.api.conftest import no_waits

__all__ = ["no_waits"]

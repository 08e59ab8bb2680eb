"""A background thread that keeps changing an account."""

from __future__ import annotations

import threading
from random import Random
from typing import Self

from activecampaign_dagster.sandbox.account import Account


class Live:
    """Changes an account `per_minute` times a minute until closed; a context manager."""

    def __init__(self, account: Account, per_minute: float = 30, seed: int = 1) -> None:
        if not 0 < per_minute <= 60_000:
            raise ValueError("changes per minute must be more than 0 and at most 60000")
        self._account = account
        self._pause = 60 / per_minute
        self._random = Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            self._account.churn(self._random, 1)

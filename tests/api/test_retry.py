"""How long to wait before the next try."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from activecampaign_dagster.api import retry
from activecampaign_dagster.api.retry import Failure


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3),
        (" 3 ", 3),
        ("0.5", 0.5),
        ("-5", 0),
        ("1e9", 120),
        ("inf", 120),
        ("Fri, 01 Jan 2021 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2021 00:00:00", 0),
        ("Fri, 01 Jan 9999 00:00:00 GMT", 120),
    ],
)
def test_a_wait_asked_for_is_kept_within_reason(header: str, seconds: float) -> None:
    assert retry.retry_after(header) == seconds


def test_a_wait_may_be_asked_for_as_a_date() -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry.retry_after(header) == pytest.approx(30, abs=2)


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "soon", "nan"),
        "Fri, 99 Jan 2021 00:00:00 GMT",
        "Fri, 01 Jan 99999 00:00:00 GMT",
        "Fri, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Fri, 01 Jan 2021 99999999999999999999:00:00 GMT",
        "Fri, 01 Jan 2021 00:00:00 +99999999999999999",
    ],
)
def test_a_wait_that_makes_no_sense_was_not_asked_for(header: str | None) -> None:
    assert retry.retry_after(header) is None


def test_waits_grow_with_jitter_and_stay_bounded() -> None:
    waits = [retry.wait(failures, None) for failures in range(1, 40)]
    assert all(0.125 * 2**i <= wait <= 0.25 * 2**i for i, wait in enumerate(waits[:7]))
    assert max(waits) <= 30
    assert len(set(waits)) == len(waits)


def test_what_the_server_asks_for_is_waited_for() -> None:
    assert 7 <= retry.wait(1, 7.0) <= 7.1


def test_what_is_final_is_not_repeated_and_everything_else_is_bounded() -> None:
    final = {Failure.REFUSED, Failure.UNTRUSTED, Failure.UNPAID, Failure.NO_PROXY}
    for failure in final:
        assert not retry.should_retry(failure, 1)
    for failure in set(Failure) - final:
        assert retry.should_retry(failure, 1)
        assert not retry.should_retry(failure, 100)

"""When to try a request again: one decision table and the waits that go with it."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from enum import StrEnum

from activecampaign_dagster.api.headers import utc_date

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 30.0  # seconds
_LONGEST_RETRY_AFTER = 120.0  # seconds; a server that asks for more is asked again after this


class Failure(StrEnum):
    """The kinds of answers that are not a page of data."""

    NO_HOST = "found no host"  # its name is not known
    UNTRUSTED = "was not sent"  # the certificate is not trusted
    NO_ANSWER = "did not answer"  # refused, reset, timed out
    BROKEN = "sent an unusable body"  # empty, truncated or HTML where JSON was due
    TOO_LARGE = "sent too much"  # more than a page can be
    SERVER = "failed"  # 5xx, 408
    THROTTLED = "refused further requests for now"  # 429
    BLOCKED = "was refused before it reached the API"  # 401, 403 from a firewall or CDN
    FORBIDDEN = "denied access"  # 401, 403
    UNPAID = "asked for payment"  # 402
    NO_PROXY = "was blocked"  # 407
    REFUSED = "refused the request"  # other 4xx, redirects


_TRIES = {
    # A typing error as a rule, but where a network is just coming up some systems deny every name.
    Failure.NO_HOST: 3,
    Failure.UNTRUSTED: 1,
    Failure.NO_ANSWER: 6,
    Failure.BROKEN: 6,
    Failure.TOO_LARGE: 2,
    Failure.SERVER: 6,
    Failure.THROTTLED: 30,  # others may use up the account's limit for a while
    Failure.BLOCKED: 6,
    Failure.FORBIDDEN: 3,  # occurs now and then with a valid key
    Failure.UNPAID: 1,
    Failure.NO_PROXY: 1,
    Failure.REFUSED: 1,
}


def should_retry(failure: Failure, failures: int) -> bool:
    """Whether to try again after `failures` failures of this kind."""
    return failures < _TRIES[failure]


def wait(failures: int, retry_after: float | None) -> float:
    """Seconds to wait before the next try: what the server asks for, or growing with jitter."""
    if retry_after is not None:
        return retry_after + jitter() * 0.1
    return min(_FIRST_WAIT * 2.0 ** (failures - 1), _LONGEST_WAIT) * (0.5 + jitter() / 2)


def jitter() -> float:
    """A number in [0, 1); a function of its own so that tests can fix it."""
    return random.random()  # noqa: S311


def retry_after(header: str | None) -> float | None:
    """Seconds asked for by a Retry-After header, as a number or a date, between 0 and 120.

    None if there is no header or it makes no sense.
    """
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        moment = utc_date(header)
        seconds = (moment - datetime.now(UTC)).total_seconds() if moment else math.nan
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)

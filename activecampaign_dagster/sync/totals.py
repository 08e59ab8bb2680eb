"""How many records the account counts of its streams, held against what their tables have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import AddressError, ApiError, CredentialsError
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.sync.unavailable import lacking

_FACT = "total_beyond_rows"


def fact(stream: str) -> str:
    """The name under which the ledger keeps how many more records are counted than listed."""
    return f"{_FACT}:{stream}"


class Totals:
    """Asks for totals, each once, with one request.

    facts: what the ledger has about the account. Some totals count what is listed nowhere, such as
    the children of deleted parents; by how many they did so last is left out of account.
    """

    def __init__(self, client: Client, facts: Mapping[str, str]) -> None:
        self._client = client
        self._facts = facts
        self._found: dict[str, int | None] = {}
        self._some: dict[str, bool] = {}
        self.absent: dict[str, str] = {}  # stream → the feature that the account lacks

    def lacking(self, stream: Stream, rows: int) -> int:
        """How many records at least did not come, if `rows` did.

        Without a total all that can be told is whether there are any.
        """
        if self._found.get(stream.name) is None:
            return int(not rows and self._some.get(stream.name, False))
        return max(self.beyond(stream, rows) or 0, 0)

    def beyond(self, stream: Stream, rows: int) -> int | None:
        """How many more records are counted than `rows`; None if the account does not say."""
        total = self._found.get(stream.name)
        return None if total is None else total - self.uncounted(stream.name) - rows

    def uncounted(self, stream: str) -> int:
        """How many more records were counted than listed when all were read last."""
        noted = self._facts.get(fact(stream), "")
        return int(noted) if noted.lstrip("-").isdecimal() else 0

    def forget(self, stream: str) -> None:
        """Ask for a total anew when it is needed next."""
        self._found.pop(stream, None)

    def of(self, stream: str) -> int | None:
        """The total of a stream; None if nobody asked, or the account did not say."""
        return self._found.get(stream)

    def ask(self, streams: Iterable[Stream]) -> None:
        """Ask for the totals that are not known yet, side by side."""
        unknown = [stream for stream in streams if stream.name not in self._found]
        found = self._client.executor.map(self._total, unknown)
        self._found |= zip((stream.name for stream in unknown), found, strict=True)

    def _total(self, stream: Stream) -> int | None:
        endpoint = stream.endpoint
        try:
            page = self._client.first(endpoint.path, endpoint.collection, endpoint.params)
        except (AddressError, CredentialsError):
            raise
        except ApiError as error:
            # it cannot be read by itself, which is no matter as long as nobody must
            if feature := lacking(stream, error):
                self.absent[stream.name] = feature
            return None
        self._some[stream.name] = bool(page.records)
        return page.total

"""What `activecampaign check` says about `access: partial`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.survey.survey import Hidden


def about_access(source: Source, found: Sequence[Hidden]) -> Iterator[str]:
    """A sentence for each stream that is read partially though its records come in full."""
    # a stream that is read partially has lost the stamp by which changes are found
    partial = {
        stream_table.name
        for stream_table in source.stream_tables
        if STREAMS[stream_table.name].changes and not stream_table.stream.changes
    }
    for hidden in found:
        if hidden.stream in partial and hidden.seen and not hidden.stubs:
            yield (
                f"Remove `access: partial` from {hidden.stream}: the key may read all "
                f"{hidden.seen} {hidden.stream} that were checked in full, and without it "
                "incremental syncs read only what changed."
            )

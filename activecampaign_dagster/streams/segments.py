"""Segments: conditions that pick contacts, of the older kind and of the newer one (audiences).

Types follow the ActiveCampaign API v3 docs and the names of fields in responses; segments of the
newer kind are known from the docs alone. A timestamp whose format is "unknown" is typed as its
neighbours are.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text, wall_clock
from activecampaign_dagster.streams.declaration import (
    ByOffset,
    ByPage,
    Each,
    Endpoint,
    Family,
    Missing,
    Shape,
    Stream,
)

_NEWER_SEGMENTS = Missing(
    statuses=frozenset({403, 404}), says="the newer kind of segments (audiences)"
)
_ATTRIBUTES = Shape(lifted="attributes")  # JSON:API

SEGMENTS = Stream(
    name="segments",
    family=Family.MARKETING,
    endpoint=Endpoint(path="segments", collection="segments"),
    description=(
        "One row per segment, with its name and how its conditions are combined, but without the "
        "conditions. Segments behind goals and triggers of automations are included; they are "
        "hidden and mostly unnamed. The table mirrors the account's current state."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the segment"),
        bigint("created_by", "Id of the user who created the segment; only ever seen NULL"),
        wall_clock("created_timestamp", "When the segment was created; format unknown"),
        bigint("hidden", "1 if the segment is not shown, as those of automations"),
        nested("links", "URLs of related resources; also seen as an empty array"),
        text("logic", "How conditions are joined: and, or"),
        text("name", "Name of the segment; Segment of … if made by ActiveCampaign; or empty"),
        text(
            "segmentid_v2",
            "UUID of the segment's newer form (`audiences.id`)",
            references="audiences",
        ),
        bigint(
            "seriesid",
            "Id of the automation it belongs to (`automations.id`); 0 if none",
            references="automations",
        ),
        bigint("updated_by", "Id of the user who last updated it; only ever seen NULL"),
        wall_clock("updated_timestamp", "When the segment was last updated; format unknown"),
    ),
)

AUDIENCES = Stream(
    name="audiences",
    family=Family.MARKETING,
    endpoint=Endpoint(path="audiences", collection="data", shape=_ATTRIBUTES),
    description=(
        "One row per segment of the newer kind, with the numbers of its contacts. Off by default:"
        " it is known from the docs only and accounts may not have it. The table mirrors the "
        "account's current state."
    ),
    default=False,
    walk=ByPage(number="page", size="page_size"),
    missing=_NEWER_SEGMENTS,
    fields=(
        text("id", "UUID of the segment"),
        text("category", "Category of the segment; not documented by the API"),
        nested("counts", "Numbers of contacts in the segment"),
        instant("created_date", "When the segment was created; format unknown"),
        instant("last_used_date", "When the segment was last used; NULL if never"),
        text("name", "Name of the segment"),
        text("segment_id", "Id of the segment as a text; of which kind is not documented"),
        text("type", "Kind of the record, as JSON:API has it"),
        instant("updated_date", "When the segment was last updated; format unknown"),
    ),
)

SEGMENT_DEFINITIONS = Stream(
    name="segment_definitions",
    family=Family.MARKETING,
    endpoint=Endpoint(path="segmentsV2/{id}", collection="data", shape=_ATTRIBUTES, is_single=True),
    description=(
        "One row per segment of the newer kind, with its conditions as JSON. Off by default: it "
        "takes one request per segment, is known from the docs only, and accounts may not have "
        "it. The table mirrors the account's current state."
    ),
    default=False,
    walk=ByOffset(),
    each=Each(stream="audiences", parameter="id"),
    missing=_NEWER_SEGMENTS,
    fields=(
        text("id", "UUID of the segment (`audiences.id`)", references="audiences"),
        text("category", "Category of the segment; not documented by the API"),
        instant("created_date", "When the segment was created; format unknown"),
        text("description", "Description of the segment"),
        nested("meta", "More about the segment; not documented by the API"),
        text("name", "Name of the segment"),
        text("segment_condition_group_operator", "How the groups of conditions are joined"),
        nested("segment_condition_groups", "Groups of conditions"),
        nested("segment_conditions", "Conditions that a contact must meet"),
        text("segment_hash", "Hash of the segment; its use is not documented by the API"),
        text("segment_id", "Id of the segment as a text; of which kind is not documented"),
        bigint("user_id", "Id of the user who made the segment (`users.id`)", references="users"),
    ),
)

SEGMENT_COUNTS = Stream(
    name="segment_counts",
    family=Family.MARKETING,
    endpoint=Endpoint(path="segmentsV2/{segment_id}/count-history", collection="data"),
    description=(
        "One row per segment of the newer kind and moment at which its contacts were counted. Off"
        " by default: it takes a request or more per segment, is known from the docs only, and "
        "accounts may not have it. The API keeps counts for 90 days, and so does the table."
    ),
    default=False,
    key=("segment_id", "timestamp"),
    walk=ByOffset(rows=50),
    each=Each(stream="audiences", parameter="segment_id"),
    missing=_NEWER_SEGMENTS,
    fields=(
        text("segment_id", "UUID of the segment (`audiences.id`)", references="audiences"),
        text("timestamp", "When contacts were counted: epoch seconds or a date and time"),
        bigint("active_result_count", "Number of active contacts in the segment"),
        text("count_updating_with_runid", "UUID of the count under way; NULL if there is none"),
        bigint("result_count", "Number of contacts in the segment"),
        text("run_id", "UUID of the count"),
        text("segment_hash", "Hash of the segment; its use is not documented by the API"),
    ),
)

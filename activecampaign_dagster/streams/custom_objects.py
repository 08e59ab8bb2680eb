"""Objects that an account, or an app connected to it, defines for itself.

Fields and types follow the ActiveCampaign API v3 docs. Stamps end in Z and are UTC, unlike those
of other collections.
"""

from activecampaign_dagster.streams.columns import instant, nested, text
from activecampaign_dagster.streams.declaration import (
    ByOffset,
    Each,
    Endpoint,
    Family,
    Missing,
    Stream,
)

_CUSTOM_OBJECTS = Missing(statuses=frozenset({400, 404}), says="the custom objects feature")

CUSTOM_OBJECT_SCHEMAS = Stream(
    name="custom_object_schemas",
    family=Family.CRM,
    endpoint=Endpoint(path="customObjects/schemas", collection="schemas"),
    description=(
        "One row per kind of custom object: its fields and what its records can relate to. The "
        "table mirrors the account's current state, without fields that were deleted; the records"
        " are in `custom_object_records`."
    ),
    walk=ByOffset(),
    missing=_CUSTOM_OBJECTS,
    fields=(
        text("id", "Id of the schema, a UUID"),
        text("appId", "Id of the app that the schema belongs to; absent if none"),
        instant("createdTimestamp", "When the schema was created"),
        text("description", "Description of the schema"),
        nested("fields", "Its fields: `id`, `labels`, `type`, `options`, …"),
        nested("icons", "Addresses of icons, keyed by name"),
        nested("labels", "Names for one record and for several"),
        text("parentId", "Id of the schema that this one derives from; absent if none"),
        nested("relationships", "Objects that its records can relate to, such as contacts"),
        text("slug", "Name of the schema for programs"),
        instant("updatedTimestamp", "When the schema was last updated"),
        text("visibility", "Who can see the schema, e.g. private or public"),
    ),
)

CUSTOM_OBJECT_RECORDS = Stream(
    name="custom_object_records",
    family=Family.CRM,
    endpoint=Endpoint(
        path="customObjects/records/{schemaId}",
        collection="records",
        params={"orders[createdTimestamp]": "ASC"},  # without it, no order is promised
    ),
    description=(
        "One row per record of a custom object, of all schemas; `schemaId` says which. The table "
        "mirrors the account's current state, read schema by schema. A record that was just "
        "created may be missing from the list for a while."
    ),
    walk=ByOffset(),
    each=Each(stream="custom_object_schemas", parameter="schemaId"),
    missing=_CUSTOM_OBJECTS,
    fields=(
        text("id", "Id of the record, a UUID"),
        instant("createdTimestamp", "When the record was created"),
        text("externalId", "Id of the record where it comes from"),
        nested(
            "fields",
            "Its values: `id` of the field and `value`, with `currency` for money; numbers are "
            "texts",
            personal=True,
        ),
        nested("relationships", "Ids of related records as texts, e.g. of contacts, by name"),
        text(
            "schemaId",
            "Id of the schema (`custom_object_schemas.id`)",
            references="custom_object_schemas",
        ),
        instant("updatedTimestamp", "When the record was last updated"),
    ),
)

"""What contacts did: conversions that an account counts, events and visits of its web pages.

Fields and types follow the ActiveCampaign API v3 docs where those have them. Conversions are known
from a client's schema only: the spelling and the meaning of their fields are not known.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text
from activecampaign_dagster.streams.declaration import (
    ByOffset,
    Changes,
    Endpoint,
    Family,
    Missing,
    NewestFirst,
    Shape,
    Stream,
)

_ATTRIBUTION = Missing(statuses=frozenset({403, 404}), says="the attribution feature (conversions)")
_EVENTS = Missing(statuses=frozenset({403, 404}), says="event tracking")
_SITE = Missing(statuses=frozenset({403, 404}), says="site tracking")

CONVERSIONS = Stream(
    name="conversions",
    family=Family.EVENTS,
    endpoint=Endpoint(
        path="conversions", collection="conversions", shape=Shape(local=("cdate", "udate"))
    ),
    description=(
        "One row per conversion that the account defines, such as an order or a booked demo. The "
        "table mirrors the account's current state; who converted is in `contact_conversions`."
    ),
    walk=ByOffset(),
    missing=_ATTRIBUTION,
    fields=(
        bigint("id", "Id of the conversion"),
        instant("cdate", "When the conversion was created"),
        text("currency", "Currency of `value`"),
        bigint("enforcelimit", "1 if `limit` is enforced, judging by the name"),
        bigint("limit", "A limit; its meaning is not documented by the API"),
        text("name", "Name of the conversion"),
        instant("udate", "When the conversion was last updated"),
        bigint("value", "Value of the conversion; unit unknown"),
    ),
)

CONVERSION_TRIGGERS = Stream(
    name="conversion_triggers",
    family=Family.EVENTS,
    endpoint=Endpoint(
        path="conversionTriggers",
        collection="conversionTriggers",
        shape=Shape(
            renames={"automationBlock": "automation_block", "triggerType": "trigger_type"},
            local=("cdate", "udate"),
        ),
    ),
    description=(
        "One row per trigger of a conversion: what makes a contact count as converted. The table "
        "mirrors the account's current state: a deleted trigger is removed by the next sync."
    ),
    walk=ByOffset(),
    missing=_ATTRIBUTION,
    fields=(
        bigint("id", "Id of the trigger"),
        bigint(
            "automation_block",
            "Id of an automation's block (`automation_blocks.id`)",
            references="automation_blocks",
        ),
        instant("cdate", "When the trigger was created"),
        bigint("conversion", "Id of the conversion (`conversions.id`)", references="conversions"),
        bigint("dynamic", "Apparently a 0/1 flag; meaning not documented by the API"),
        text("modifier", "Meaning not documented by the API"),
        bigint("retroactive", "1 if earlier actions count, too, judging by the name"),
        text("trigger_type", "Kind of trigger; values not documented by the API"),
        instant("udate", "When the trigger was last updated"),
        text("value", "Condition of the trigger; format unknown"),
    ),
)

CONTACT_CONVERSIONS = Stream(
    name="contact_conversions",
    family=Family.EVENTS,
    endpoint=Endpoint(
        path="contactConversions",
        collection="contactConversions",
        shape=Shape(
            renames={
                "convertedBy": "converted_by",
                "convertedById": "converted_by_id",
                "convertedByType": "converted_by_type",
                "triggerType": "trigger_type",
            },
            first_filled={
                "conversion_trigger": (
                    "conversion_trigger",
                    "conversionTrigger",
                    "conversiontrigger",
                )
            },
            local=("cdate",),
        ),
    ),
    description=(
        "One row per contact and conversion that it achieved, with the value that it had. The "
        "table mirrors the account's current state; each sync reads all of it, because no filter "
        "by time is known."
    ),
    walk=ByOffset(),
    missing=_ATTRIBUTION,
    fields=(
        bigint("id", "Id of the contact's conversion"),
        instant("cdate", "When the contact converted, judging by the name"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("conversion", "Id of the conversion (`conversions.id`)", references="conversions"),
        bigint(
            "conversion_trigger",
            "Id of the trigger (`conversion_triggers.id`), which the API sends under two spellings",
            references="conversion_triggers",
        ),
        bigint("converted_by", "Meaning not documented by the API; see `converted_by_type`"),
        bigint(
            "converted_by_id", "Id of the record that led to the conversion, judging by the name"
        ),
        text(
            "converted_by_type",
            "Kind of the record that led to the conversion, judging by the name",
        ),
        text("currency", "Currency of `value`"),
        bigint("dynamic", "Apparently a 0/1 flag; meaning not documented by the API"),
        text("modifier", "Meaning not documented by the API"),
        text("trigger_type", "Kind of trigger; values not documented by the API"),
        bigint("value", "Value of the conversion; unit unknown"),
    ),
)

EVENT_TRACKING_EVENTS = Stream(
    name="event_tracking_events",
    family=Family.EVENTS,
    endpoint=Endpoint(path="eventTrackingEvents", collection="eventTrackingEvents"),
    description=(
        "One row per name of an event that the account tracks. The collection has only names, "
        "without ids, and does not list the events themselves."
    ),
    walk=ByOffset(),
    key=("name",),
    missing=_EVENTS,
    fields=(text("name", "Name of the event: the key"),),
)

SITE_TRACKING_DOMAINS = Stream(
    name="site_tracking_domains",
    family=Family.EVENTS,
    endpoint=Endpoint(path="siteTrackingDomains", collection="siteTrackingDomains"),
    description=(
        "One row per domain whose visits the account tracks. Off by default: it is a short list "
        "of settings, and the current API docs describe it at another path and in another form."
    ),
    walk=ByOffset(),
    key=("name",),
    missing=_SITE,
    default=False,
    fields=(text("name", "Name of the domain: the key"),),
)

TRACKING_LOGS = Stream(
    name="tracking_logs",
    family=Family.EVENTS,
    endpoint=Endpoint(path="trackingLogs", collection="trackingLogs"),
    description=(
        "One row per page visit of a contact that site tracking recorded. Off by default: it "
        "shows which pages a person looked at, and an account can have millions of rows. The log "
        "is only added to, so a sync reads from its end back to the last known row."
    ),
    walk=NewestFirst(stamp="tstamp", order=""),
    changes=Changes(stamp="tstamp"),
    missing=_SITE,
    default=False,
    fields=(
        bigint("id", "Id of the log entry"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        text("hash", "Opaque hash of the entry; its use is not documented by the API"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("subscriberid", "Id of the contact again: the same as `contact`"),
        instant("tstamp", "When the page was visited: the replication key"),
        text("type", "Kind of entry"),
        text("value", "Address of the page", personal=True),
    ),
)

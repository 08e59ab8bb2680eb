"""Text messages: broadcasts, the lists that they go to, their recipients and their failures.

Fields and types follow the schemas of the ActiveCampaign API v3 docs; no response has been
recorded. Ids and counts are numbers here, elsewhere in the API they are texts.
"""

from activecampaign_dagster.streams.columns import bigint, boolean, instant, nested, text
from activecampaign_dagster.streams.declaration import (
    ByOffset,
    Each,
    Endpoint,
    Family,
    Missing,
    Stream,
)

_MISSING = Missing(statuses=frozenset({403, 404}), says="the SMS add-on")

SMS_BROADCASTS = Stream(
    name="sms_broadcasts",
    family=Family.MARKETING,
    endpoint=Endpoint(path="sms/broadcasts", collection="broadcasts"),
    description=(
        "One row per SMS broadcast: a text message that is sent to lists or a segment. "
        "ActiveCampaign does not document whether deleted broadcasts stay listed, with "
        "`deleted_at`. Off by default: it needs the SMS add-on and has not been tried on an "
        "account."
    ),
    walk=ByOffset(),
    missing=_MISSING,
    default=False,
    fields=(
        bigint("id", "Id of the broadcast"),
        bigint("address_id", "Id of the postal address (`addresses.id`)", references="addresses"),
        boolean("arc_approved", "True if approved by a review that the API does not explain"),
        text("body", "Text of the message"),
        instant("created_at", "When the broadcast was created"),
        bigint("created_by", "Id of the user who created it (`users.id`)", references="users"),
        text("custom_run_id", "UUID of a run of the custom segment; not explained by the API"),
        text("custom_segment_id", "UUID of the custom segment"),
        instant("deleted_at", "When the broadcast was deleted; NULL if it was not"),
        nested("label_ids", "Ids of the broadcast's labels"),
        nested("list_ids", "Ids of the lists that it is sent to (`lists.id`)"),
        nested("media_urls", "Addresses of media in the message"),
        text("name", "Name of the broadcast"),
        text("preview_url", "Address of a preview"),
        boolean("quiet_hours_enabled", "True if nothing is sent in quiet hours"),
        bigint("scheduled_by", "Id of the user who scheduled it (`users.id`)", references="users"),
        instant("scheduled_date", "Date it is scheduled for"),
        text("segment_id", "Id of the segment it is sent to: a number or a UUID"),
        instant("sent_date", "When the broadcast was sent"),
        bigint("sent_to_count", "Number of contacts it was sent to"),
        boolean("shorten_track_links_enabled", "True if links are shortened and tracked"),
        boolean("sift_approved", "True if approved by a review that the API does not explain"),
        text("status", "draft, scheduled, sent, pending_review or sending"),
        instant("updated_at", "When the broadcast was last updated"),
        bigint("updated_by", "Id of the user who last updated it (`users.id`)", references="users"),
    ),
)

SMS_LISTS = Stream(
    name="sms_lists",
    family=Family.MARKETING,
    endpoint=Endpoint(path="sms/lists", collection="lists"),
    description=(
        "One row per list for text messages, with its number of subscribers. The table mirrors "
        "the account's current state, and each sync reads all of it. Off by default: it needs the"
        " SMS add-on and has not been tried on an account."
    ),
    walk=ByOffset(),
    missing=_MISSING,
    default=False,
    fields=(
        bigint("id", "Id of the list"),
        text("name", "Name of the list"),
        bigint("subscriber_count", "Number of the list's subscribers"),
    ),
)

SMS_RECIPIENTS = Stream(
    name="sms_recipients",
    family=Family.MARKETING,
    endpoint=Endpoint(path="sms/broadcasts/{broadcast}/recipients", collection="recipients"),
    description=(
        "One row per SMS broadcast and contact that it was sent to. `id` is the contact's, so it "
        "occurs once per broadcast. Off by default: it contains phone numbers and replies, takes "
        "requests for each broadcast, needs the SMS add-on and has not been tried on an account."
    ),
    walk=ByOffset(),
    key=("broadcast", "id"),
    each=Each(stream="sms_broadcasts", parameter="broadcast"),
    missing=_MISSING,
    default=False,
    fields=(
        bigint(
            "broadcast",
            "Id of the broadcast (`sms_broadcasts.id`), which the sync adds",
            references="sms_broadcasts",
        ),
        bigint("id", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("clicks", "Number of clicks on links of the message"),
        text("deliverability", "Whether the message was delivered; values not documented"),
        nested("details", "Why it was not delivered: `errorCode` and `errorSource`"),
        text("name", "Name of the contact", personal=True),
        text("optOut", "Whether the contact opted out: yes or no"),
        text("phoneNumber", "Phone number of the contact", personal=True),
        nested("replies", "Replies of the contact, each a `message` and a `date`", personal=True),
        text("sentDate", "When the message was sent, as text; the docs call the zone CST"),
    ),
)

SMS_FAILURES = Stream(
    name="sms_failures",
    family=Family.MARKETING,
    endpoint=Endpoint(path="sms/broadcasts/metrics/{broadcast}/failures", collection="failures"),
    description=(
        "One row per SMS broadcast and kind of failure, with the number of messages that failed. "
        "Failures of individual contacts are in `sms_recipients`. Off by default: it takes a "
        "request for each broadcast, needs the SMS add-on and has not been tried on an account."
    ),
    walk=ByOffset(),
    key=("broadcast", "errorCode", "errorSource"),
    each=Each(stream="sms_broadcasts", parameter="broadcast"),
    missing=_MISSING,
    default=False,
    fields=(
        bigint(
            "broadcast",
            "Id of the broadcast (`sms_broadcasts.id`), which the sync adds",
            references="sms_broadcasts",
        ),
        text("errorCode", "Code of the error"),
        text("errorSource", "Who reported the error: ac or twilio"),
        bigint("count", "Number of messages that failed with it"),
    ),
)

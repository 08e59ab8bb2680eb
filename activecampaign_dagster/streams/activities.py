"""What happened around contacts and deals: activities, mails to single contacts, notes.

Fields and types follow the ActiveCampaign API v3 docs, recorded responses and what clients of the
API read.

A timestamp whose format is "unknown" has no recorded value; the choice between TIMESTAMP and
TIMESTAMPTZ is inferred from stamps of the same name in other collections.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text
from activecampaign_dagster.streams.declaration import (
    ByOffset,
    Changes,
    Endpoint,
    Family,
    Missing,
    NewestFirst,
    Stream,
)

ACTIVITIES = Stream(
    name="activities",
    family=Family.EVENTS,
    endpoint=Endpoint(path="activities", collection="activities"),
    description=(
        "One row per activity around a contact: a mail sent, an open or click, a list or "
        "automation joined, a task, a note, an order, as `reference_type` says. A `Log` is a mail "
        "sent, and `LinkData` an open or a click; those of `MppLinkData` are automatic. Off by "
        "default: the log is very large and shows what individual contacts did, and reading it "
        "for the whole account requires an administrator's key."
    ),
    walk=NewestFirst(stamp="tstamp", order="orders[tstamp]"),
    changes=Changes(stamp="tstamp"),
    missing=Missing(
        statuses=frozenset({403, 404}),
        says="the activities of the whole account, for which the key must be an administrator's",
    ),
    default=False,
    fields=(
        bigint("id", "Id of the activity"),
        nested("jsonData", "Further data of the activity; NULL for most kinds", personal=True),
        nested("links", "URLs of related resources, keyed by resource name"),
        nested("notes", "Notes on the activity"),
        text("permission", "Permission that it takes to see the activity; not documented"),
        nested("recipients", "Recipients of the mail, for activities that are mails"),
        nested("reference", "The record that the activity is about, as `type` and `id`"),
        text("referenceModelName", "Name of the kind of record; see `reference_type`"),
        text("reference_action", "Action on the record; NULL for most kinds"),
        bigint("reference_id", "Id of the record that the activity is about"),
        text("reference_type", "Kind of that record, e.g. Log, LinkData, DealTask or Note"),
        bigint("subscriberid", "Id of the contact (`contacts.id`)", references="contacts"),
        instant("tstamp", "When it happened: the replication key"),
        bigint("user", "Id of the user; NULL if none (`users.id`)", references="users"),
        bigint("userid", "Id of the user; 0 if none", references="users"),
    ),
)

EMAIL_ACTIVITIES = Stream(
    name="email_activities",
    family=Family.EVENTS,
    endpoint=Endpoint(path="emailActivities", collection="emailActivities"),
    description=(
        "One row per mail that campaigns, automations and users sent to a contact, with its "
        "subject and body. `reltype` and `relid` name the record that the mail is about. Off by "
        "default: the log is very large, takes long to read and contains mails to individual "
        "contacts."
    ),
    walk=NewestFirst(stamp="tstamp", order="orders[tstamp]"),
    changes=Changes(stamp="tstamp"),
    default=False,
    fields=(
        bigint("id", "Id of the entry"),
        bigint("account", "Id of the account (company); NULL if none", references="accounts"),
        text("automation_name", "Name of the automation; only ever seen NULL"),
        text("ccAddress", "Addresses that got a copy; empty if none", personal=True),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("d_id", "Id of a deal, to judge by the name; 0 if none"),
        bigint("deal", "Id of the deal (`deals.id`); NULL if none", references="deals"),
        text("fromAddress", "E-mail address of the sender", personal=True),
        text("from_name", "Name of the sender", personal=True),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("message", "Text of the mail", personal=True),
        text("messageHtml", "HTML body of the mail", personal=True),
        nested("reference", "The record that the mail belongs to, as `type` and `id`"),
        bigint("relid", "Id of the record that the mail belongs to; see `reltype`"),
        text("reltype", "Kind of the record that the mail belongs to"),
        text("sentiment", "Only ever seen NULL; meaning not documented by the API"),
        text("subject", "Subject of the mail, with personalisation filled in", personal=True),
        bigint("subscriberid", "Id of the contact (`contacts.id`)", references="contacts"),
        text("toAddress", "E-mail address of the recipient", personal=True),
        instant("tstamp", "When the mail was sent: the replication key"),
        bigint("user", "Id of the user (`users.id`)", references="users"),
        bigint("userid", "Id of the user: the same as `user`", references="users"),
    ),
)

CONTACT_EMAILS = Stream(
    name="contact_emails",
    family=Family.CRM,
    endpoint=Endpoint(path="contactEmails", collection="contactEmails"),
    description=(
        "One row per mail between a user and a single contact, from connected mailboxes or sent "
        "from a contact, a deal or an account. The collection has no known order, so each sync "
        "reads all of it. Off by default: it contains mails with individual people, and no record "
        "has been seen."
    ),
    walk=ByOffset(),
    missing=Missing(statuses=frozenset({403, 404}), says="connected mailboxes"),
    default=False,
    fields=(
        bigint("id", "Id of the mail"),
        bigint("account", "Id of the account (company), if any", references="accounts"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("d_id", "Id of a deal, to judge by the name"),
        bigint("deal", "Id of the deal (`deals.id`), if any", references="deals"),
        text("ip", "IP address; whose is not documented by the API", personal=True),
        bigint("message", "Id of the mail's content; see `messageid`"),
        text("messageheader", "Header of the mail", personal=True),
        bigint("messageid", "Id of the mail's content; of which kind is not documented"),
        instant("sdate", "When the mail was sent; format unknown"),
        bigint("seriesid", "Id of the automation (`automations.id`)", references="automations"),
        text("source", "Source of the mail; meaning not documented by the API", personal=True),
        bigint("subscriberid", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("user", "Id of the user (`users.id`)", references="users"),
        bigint("userid", "Id of the user: the same as `user`", references="users"),
    ),
)

NOTES = Stream(
    name="notes",
    family=Family.CRM,
    endpoint=Endpoint(path="notes", collection="notes"),
    description=(
        "One row per note on a contact, deal, account, task or activity: `reltype` says which, "
        "`relid` its id. The table mirrors the account's current state, and each sync reads all "
        "of it. The text is free, so it may contain personal data."
    ),
    walk=ByOffset(),
    missing=Missing(statuses=frozenset({403}), says="notes"),
    fields=(
        bigint("id", "Id of the note"),
        instant("cdate", "When the note was created"),
        bigint("is_draft", "1 if the note is a draft; may be empty"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("mdate", "When the note was last modified"),
        text("note", "Text of the note", personal=True),
        nested("owner", "The record that the note is on, as `type` and `id`"),
        bigint("relid", "Id of the record that the note is on; see `reltype`"),
        text("reltype", "Subscriber (a contact), Deal, CustomerAccount, DealTask or Activity"),
        bigint("user", "Id of the user who wrote the note (`users.id`)", references="users"),
        bigint("userid", "Id of that user: the same as `user`", references="users"),
    ),
)

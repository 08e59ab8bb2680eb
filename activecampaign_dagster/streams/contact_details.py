"""What belongs to contacts: tags, lists, scores, bounces and where they were seen.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.

A timestamp whose format is "unknown" has only been recorded as NULL or as a row of zeros; the
choice between TIMESTAMP and TIMESTAMPTZ is inferred from its neighbours.
"""

from datetime import timedelta

from activecampaign_dagster.streams.columns import bigint, instant, nested, text, wall_clock
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Changes,
    Endpoint,
    Family,
    Stream,
)

CONTACT_TAGS = Stream(
    name="contact_tags",
    family=Family.MARKETING,
    endpoint=Endpoint(path="contactTags", collection="contactTags"),
    description=(
        "One row per contact and tag that the contact has. The rows are read with the pages of "
        "contacts. In recorded responses, adding a tag updates the contact's `udate`, so that an "
        "incremental sync finds it; a removed tag is found when all contacts are re-read, once a "
        "day."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="cdate"),
    beside=Beside(
        parent="contacts",
        include="contactTags",
        array="contactTags",
        owner="contact",
        listed="contactTags",
    ),
    fields=(
        bigint("id", "Id of the tagging"),
        instant("cdate", "When the tag was added: the replication key"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("created_by", "Id of the user who added the tag; only ever seen NULL"),
        wall_clock("created_timestamp", "Creation, local time of the account; see `cdate`"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("tag", "Id of the tag (`tags.id`)", references="tags"),
        bigint("updated_by", "Id of the user who last changed it; only ever seen NULL"),
        wall_clock("updated_timestamp", "Local time of the account; reportedly the creation"),
    ),
)

CONTACT_LISTS = Stream(
    name="contact_lists",
    family=Family.MARKETING,
    endpoint=Endpoint(path="contactLists", collection="contactLists"),
    description=(
        "One row per contact and list that the contact is or was subscribed to, with both dates "
        "and the reason given for leaving. The rows are read with the pages of contacts: their "
        "own collection ignores filters and repeats rows. In the only recorded case, a new "
        "subscription did not update the contact's `udate`, so all contacts are re-read once a "
        "day."
    ),
    key=("contact", "list"),
    walk=ByOffset(),
    changes=Changes(stamp="udate", created="sdate"),
    beside=Beside(
        parent="contacts",
        include="contactLists",
        array="contactLists",
        owner="contact",
        listed="contactLists",
    ),
    fields=(
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("list", "Id of the list (`lists.id`)", references="lists"),
        bigint(
            "automation",
            "Id of an automation; only ever seen NULL, meaning not documented",
            references="automations",
        ),
        bigint("autosyncLog", "Id of a log; only ever seen NULL, meaning not documented"),
        bigint(
            "campaign",
            "Id of a campaign, presumably the one unsubscribed through; only ever seen NULL",
            references="campaigns",
        ),
        text("channel", "Channel of the list, e.g. email; absent in older responses"),
        bigint("created_by", "Id of the user who subscribed the contact; NULL if none"),
        wall_clock("created_timestamp", "Creation, local time of the account"),
        text("first_name", "First name of the contact on this list; may be empty", personal=True),
        bigint(
            "form",
            "Id of a form, presumably the one subscribed with; only ever seen NULL",
            references="forms",
        ),
        bigint("id", "Id of the membership; contact and list identify rows"),
        text("ip4Sub", "IP address at subscribing, dotted or one number; 0 if none", personal=True),
        text("ip4Unsub", "IP address at leaving, dotted or one number; 0 if none", personal=True),
        text("ip4_last", "Last IP address, dotted or packed into one number", personal=True),
        text("last_name", "Last name of the contact on this list; may be empty", personal=True),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint(
            "message",
            "Id of a message, presumably the one unsubscribed through; only ever seen NULL",
            references="messages",
        ),
        bigint(
            "responder", "Apparently a 0/1 flag about autoresponders; not documented by the API"
        ),
        instant("sdate", "When the contact subscribed; used where `udate` is NULL"),
        bigint(
            "seriesid",
            "Id of an automation (`automations.id`); 0 if none",
            references="automations",
        ),
        bigint("sourceid", "How the contact was added; the codes are not documented by the API"),
        bigint("status", "1 active, 2 unsubscribed; others reportedly unconfirmed or bounced"),
        bigint("sync", "Apparently a 0/1 flag; meaning not documented by the API"),
        instant("udate", "When the contact unsubscribed, NULL if never: the replication key"),
        text("unsubreason", "Reason given for unsubscribing; may be empty", personal=True),
        bigint(
            "unsubscribeAutomation",
            "Id of an automation, presumably the one that unsubscribed; only ever seen NULL",
            references="automations",
        ),
        bigint("updated_by", "Id of the user who last changed the membership; NULL if none"),
        wall_clock("updated_timestamp", "Last change, local time of the account"),
    ),
)

SCORE_VALUES = Stream(
    name="score_values",
    family=Family.MARKETING,
    endpoint=Endpoint(path="scoreValues", collection="scoreValues"),
    description=(
        "One row per contact and score: the contact's current points. The rows are read with the "
        "pages of contacts only; values of deals are not among them. ActiveCampaign does not "
        "document whether a changed value updates the contact's `udate`, so all contacts are "
        "re-read once a day."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="mdate", created="cdate"),
    beside=Beside(
        parent="contacts",
        include="scoreValues",
        array="scoreValues",
        owner="contact",
        listed="scoreValues",
        has_own=False,
    ),
    fields=(
        bigint("id", "Id of the score value"),
        instant("cdate", "When the contact was first given points"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("deal", "Id of the deal that is scored; NULL for contacts", references="deals"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("mdate", "When the points last changed: the replication key"),
        bigint("score", "Id of the score (`scores.id`)", references="scores"),
        bigint("scoreValue", "Points that the contact has"),
    ),
)

CONTACT_DATA = Stream(
    name="contact_data",
    family=Family.CRM,
    endpoint=Endpoint(path="contactData", collection="contactData"),
    description=(
        "One row per contact with further details: location, Google Analytics campaign, ids at "
        "social networks. Off by default: nearly all of it is personal data. The rows are read "
        "with the pages of contacts."
    ),
    default=False,
    walk=ByOffset(),
    changes=Changes(stamp="tstamp"),
    beside=Beside(
        parent="contacts",
        include="contactData",
        array="contactData",
        owner="contact",
        passes=timedelta(days=7),
    ),
    fields=(
        bigint("id", "Id of the record"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("created_by", "Id of the user who created the record; 0 or NULL if none"),
        wall_clock("created_timestamp", "Creation; format unknown"),
        bigint("fb_id", "Id of the contact at Facebook; 0 if unknown", personal=True),
        text("fb_name", "Name of the contact at Facebook; may be empty", personal=True),
        text("ga_campaign_content", "Google Analytics: content of the campaign", personal=True),
        text("ga_campaign_customsegment", "Google Analytics: custom segment", personal=True),
        text("ga_campaign_medium", "Google Analytics: medium of the campaign", personal=True),
        text("ga_campaign_name", "Google Analytics: name of the campaign", personal=True),
        text("ga_campaign_source", "Google Analytics: source of the campaign", personal=True),
        text("ga_campaign_term", "Google Analytics: term of the campaign", personal=True),
        text("ga_first_visit", "Google Analytics: first visit; only ever seen NULL", personal=True),
        bigint("ga_times_visited", "Google Analytics: number of visits", personal=True),
        text("geoArea", "Area code of the contact's place; 0 if unknown", personal=True),
        text("geoCity", "City of the contact", personal=True),
        text("geoCountry2", "Country of the contact, two-letter code", personal=True),
        text("geoIp4", "IP address that the place was derived from", personal=True),
        text("geoLat", "Latitude of the contact's place, a decimal", personal=True),
        text("geoLon", "Longitude of the contact's place, a decimal", personal=True),
        text("geoState", "State or province of the contact", personal=True),
        instant("geoTstamp", "When the place was determined; format unknown", personal=True),
        text("geoTz", "Time zone of the contact", personal=True),
        text("geoTzOffset", "Offset of the contact's time zone, a decimal", personal=True),
        text("geoZip", "Postal code of the contact", personal=True),
        text("geo_country", "Country of the contact", personal=True),
        nested("links", "URLs of related resources; only ever seen as an empty array"),
        instant("tstamp", "Timestamp of the record: the replication key"),
        bigint("tw_id", "Id of the contact at Twitter; 0 if unknown", personal=True),
        bigint("updated_by", "Id of the user who last changed the record; 0 or NULL if none"),
        wall_clock("updated_timestamp", "Last change; format unknown"),
    ),
)

GEO_IPS = Stream(
    name="geo_ips",
    family=Family.EVENTS,
    endpoint=Endpoint(path="geoIps", collection="geoIps"),
    description=(
        "One row per place from which a contact was seen to open a mail, with the IP address. Off"
        " by default: IP addresses and places are personal data. The rows are read with the pages"
        " of contacts only."
    ),
    default=False,
    walk=ByOffset(),
    changes=Changes(stamp="tstamp"),
    beside=Beside(
        parent="contacts",
        include="geoIps.geoAddress",
        array="geoIps",
        owner="contact",
        listed="geoIps",
        passes=timedelta(days=7),
        has_own=False,
    ),
    fields=(
        bigint("id", "Id of the record"),
        bigint(
            "campaignid", "Id of the campaign (`campaigns.id`); 0 if none", references="campaigns"
        ),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("geoAddress", "Id of the place; the places themselves are not read"),
        bigint("geoaddrid", "Id of the place again; see `geoAddress`"),
        text("ip4", "IP address, dotted or packed into one number", personal=True),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("messageid", "Id of the message (`messages.id`); 0 if none", references="messages"),
        instant("tstamp", "When the contact was seen there: the replication key"),
    ),
)

BOUNCE_LOGS = Stream(
    name="bounce_logs",
    family=Family.EVENTS,
    endpoint=Endpoint(path="bounceLogs", collection="bounceLogs"),
    description=(
        "One row per bounce of a mail to a contact, with the campaign and the error. The rows are"
        " read with the pages of contacts. ActiveCampaign does not document whether a bounce "
        "updates the contact's `udate`, so all contacts are re-read once a day."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="tstamp"),
    beside=Beside(
        parent="contacts",
        include="bounceLogs",
        array="bounceLogs",
        owner="contact",
    ),
    fields=(
        bigint("id", "Id of the bounce"),
        bigint("bounce", "An id; meaning not documented by the API, see `bounceid`"),
        bigint("bounceid", "An id, presumably of a bounce setting; not documented by the API"),
        bigint("campaign", "Id of the campaign (`campaigns.id`)", references="campaigns"),
        bigint("campaignid", "Id of the campaign again; see `campaign`", references="campaigns"),
        text("code", "Code of the bounce, a number or a text"),
        bigint("codeid", "Id of the code; not documented by the API"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("created_by", "Id of a user; only ever seen NULL"),
        wall_clock("created_timestamp", "Creation, local time of the account; see `tstamp`"),
        text("email", "E-mail address that bounced", personal=True),
        text(
            "error",
            "Presumably the text of an error; only ever seen empty",
            personal=True,
        ),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("message", "Id of the message (`messages.id`)", references="messages"),
        bigint("messageid", "Id of the message again; see `message`", references="messages"),
        text("source", "A text about the bounce; not documented by the API", personal=True),
        bigint("subscriberid", "Id of the contact again; see `contact`", references="contacts"),
        instant("tstamp", "When the mail bounced: the replication key"),
        bigint("updated_by", "Id of a user; only ever seen NULL"),
        wall_clock("updated_timestamp", "Last change, local time of the account"),
    ),
)

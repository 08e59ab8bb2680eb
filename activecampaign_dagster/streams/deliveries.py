"""Logs of individual mails: what was sent to whom, and who opened or clicked what.

The API docs know none of these collections; fields and types follow what clients of the API read
from them. The format of timestamps is not known: one without an offset is read
in the account's time zone, as in other collections.
"""

from datetime import timedelta

from activecampaign_dagster.streams.columns import bigint, instant, text
from activecampaign_dagster.streams.declaration import (
    Changes,
    Endpoint,
    Family,
    NewestFirst,
    Shape,
    Stream,
)

_STAMP = Shape(local=("tstamp",))

SEND_LOGS = Stream(
    name="send_logs",
    family=Family.EVENTS,
    endpoint=Endpoint(path="logs", collection="logs", shape=_STAMP),
    description=(
        "One row per mail that was sent to a contact, by a campaign or an automation. A row is a "
        "mail sent, not an open. Off by default: the log is large, is about individual contacts "
        "and is not documented by the API."
    ),
    walk=NewestFirst(stamp="tstamp", order=""),
    changes=Changes(stamp="tstamp"),
    default=False,
    fields=(
        bigint("id", "Id of the entry"),
        bigint("campaign", "Id of the campaign, in some responses", references="campaigns"),
        bigint("campaignid", "Id of the campaign (`campaigns.id`)", references="campaigns"),
        bigint("contact", "Id of the contact, in some responses", references="contacts"),
        bigint("messageid", "Id of the message (`messages.id`)", references="messages"),
        bigint("sendid", "Internal id of the send"),
        bigint("subscriberid", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("successful", "1 if the mail was sent; other values have not been seen"),
        instant("tstamp", "When the mail was sent: the replication key"),
    ),
)

_HITS = (
    bigint("id", "Id of the entry"),
    bigint("campaignid", "Id of the campaign (`campaigns.id`)", references="campaigns"),
    text("ip", "IP address of the contact or of a mail proxy", personal=True),
    text("ip6", "IPv6 address of the contact or of a mail proxy", personal=True),
    bigint("isread", "1 for an open, 0 for a click; 2 on loads by Apple's privacy proxy"),
    bigint("link", "Id of the link (`campaign_links.id`)", references="campaign_links"),
    bigint("linkid", "Id of the link, in some responses; see `link`", references="campaign_links"),
    bigint("messageid", "Id of the message; 0 if it belongs to none", references="messages"),
    text("referer", "Page from which it was loaded", personal=True),
    bigint("subscriberid", "Id of the contact (`contacts.id`)", references="contacts"),
    bigint("times", "Number of loads; keeps growing after the row was added"),
    instant("tstamp", "When the open or click was recorded: the replication key"),
    text("ua", "Program that opened the mail or the link, e.g. GMail", personal=True),
    text("uasrc", "A text about the user agent; meaning not documented", personal=True),
)

LINK_DATA = Stream(
    name="link_data",
    family=Family.EVENTS,
    endpoint=Endpoint(path="linkData", collection="linkData", shape=_STAMP),
    description=(
        "One row per contact and link that the contact loaded: an open if `isread` is 1 or the "
        "link is the pixel `open` of `campaign_links`, otherwise a click. `times` keeps counting, "
        "so incremental syncs re-read the last 30 days; later loads appear with the next full "
        "sync. Off by default: the log is large, slow to read, not documented by the API, and "
        "shows what individual contacts opened, with their IP addresses and user agents."
    ),
    walk=NewestFirst(stamp="tstamp", order="", lookback=timedelta(days=30)),
    changes=Changes(stamp="tstamp"),
    default=False,
    fields=_HITS,
)

MPP_LINK_DATA = Stream(
    name="mpp_link_data",
    family=Family.EVENTS,
    endpoint=Endpoint(path="mppLinkData", collection="mppLinkData", shape=_STAMP),
    description=(
        "One row per contact and link that Apple Mail Privacy Protection loaded automatically: "
        "these are not opens by people, and not part of a campaign's `opens`. `times` keeps "
        "counting, so incremental syncs re-read the last 30 days. Off by default: the log is "
        "large, slow to read, not documented by the API, and contains IP addresses and user "
        "agents."
    ),
    walk=NewestFirst(stamp="tstamp", order="", lookback=timedelta(days=30)),
    changes=Changes(stamp="tstamp"),
    default=False,
    fields=_HITS,
)

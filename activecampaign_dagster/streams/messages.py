"""What campaigns are made of: their lists, messages and links, and the templates for them.

Fields and types follow the ActiveCampaign API v3 docs, recorded responses and what clients of the
API read. The docs explain few of these fields; most meanings are inferred from names and from the
fields of campaigns.

A timestamp whose format is "unknown" has no recorded value; the choice between TIMESTAMP and
TIMESTAMPTZ is inferred from stamps of the same name in other collections.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text, wall_clock
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Endpoint,
    Family,
    Missing,
    Shape,
    Stream,
)

CAMPAIGN_LISTS = Stream(
    name="campaign_lists",
    family=Family.MARKETING,
    endpoint=Endpoint(path="campaignLists", collection="campaignLists"),
    description=(
        "One row per campaign and list that it is sent to; campaigns themselves hold no list ids."
        " The table mirrors the account's current state, and each sync reads all of it. Both "
        "timestamps have only been seen empty."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the link between campaign and list"),
        text("campaign", "The campaign again, as its id or as the address of its record"),
        bigint("campaignid", "Id of the campaign (`campaigns.id`)", references="campaigns"),
        instant("cdate", "When the link was created; format unknown"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("list", "The list again, as its id or as the address of its record"),
        bigint("list_amt", "A number of contacts of the list; which is not documented by the API"),
        bigint("listid", "Id of the list (`lists.id`)", references="lists"),
        text("name", "A name; presumably the list's"),
        instant("udate", "When the link was last updated; format unknown"),
        text("user", "The user again, as the id or as the address of the record"),
        bigint("userid", "Id of a user (`users.id`); role not documented", references="users"),
    ),
)

CAMPAIGN_MESSAGES = Stream(
    name="campaign_messages",
    family=Family.MARKETING,
    endpoint=Endpoint(path="campaignMessages", collection="campaignMessages"),
    description=(
        "One row per campaign and message that it sends, with the counters of that message: a "
        "split test has several. The rows are read with the pages of campaigns and have no "
        "timestamp, and counters keep changing, so each sync reads all rows."
    ),
    walk=ByOffset(),
    beside=Beside(
        parent="campaigns",
        include="campaignMessages",
        array="campaignMessages",
        owner="campaignid",
    ),
    fields=(
        bigint("id", "Id of the link between campaign and message"),
        bigint("campaign", "Id of the campaign: the same as `campaignid`", references="campaigns"),
        bigint("campaignid", "Id of the campaign (`campaigns.id`)", references="campaigns"),
        bigint("forwards", "Number of forwards"),
        bigint("hardbounces", "Number of hard bounces"),
        text("initial_split_percentage", "Split tests: share at the start; may have a fraction"),
        bigint("linkclicks", "Number of clicks on links, repeats included"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("message", "Id of the message: the same as `messageid`", references="messages"),
        bigint("messageid", "Id of the message (`messages.id`)", references="messages"),
        bigint("opens", "Number of opens, repeats included"),
        text("percentage", "Split tests: share of this message; may have a fraction"),
        bigint("replies", "Number of replies, repeats included"),
        text("screenshot", "Address of a picture of the mail"),
        bigint("send_amt", "Number of mails sent so far"),
        bigint("socialshares", "Number of shares on social networks"),
        bigint("softbounces", "Number of soft bounces"),
        bigint("sourcesize", "Size of the mail's source, presumably in bytes"),
        bigint("spamcheck_max", "Highest score of the spam check"),
        bigint("spamcheck_score", "Score of the spam check"),
        text("subject", "Subject of the mail"),
        bigint("subscriberclicks", "Number of contacts who clicked at least one link"),
        bigint("total_amt", "Number of mails to send in all"),
        bigint("uniqueforwards", "Number of contacts who forwarded the mail"),
        bigint("uniquelinkclicks", "Number of clicks on links, repeats left out"),
        bigint("uniqueopens", "Number of contacts who opened the mail"),
        bigint("uniquereplies", "Number of contacts who replied"),
        bigint("unsubreasons", "Number of unsubscriptions that came with a reason"),
        bigint("unsubscribes", "Number of unsubscriptions"),
        bigint("updates", "Number of updates; meaning not documented by the API"),
    ),
)

CAMPAIGN_LINKS = Stream(
    name="campaign_links",
    family=Family.MARKETING,
    endpoint=Endpoint(path="links", collection="links"),
    description=(
        "One row per link in the mails of a campaign, with its click counters. A row whose `link`"
        " is `open` is the pixel that counts opens. The rows are read with the pages of "
        "campaigns; counters keep changing, so each sync reads all rows."
    ),
    walk=ByOffset(),
    beside=Beside(parent="campaigns", include="links", array="links", owner="campaignid"),
    fields=(
        bigint("id", "Id of the link"),
        bigint("campaign", "Id of the campaign: the same as `campaignid`", references="campaigns"),
        bigint("campaignid", "Id of the campaign (`campaigns.id`)", references="campaigns"),
        bigint("created_by", "Id of the user who created the link; only seen NULL"),
        wall_clock("created_timestamp", "When the link was created; format unknown"),
        text("link", "Address that the link leads to; `open` for the pixel that counts opens"),
        bigint("linkclicks", "Number of clicks on the link, repeats included"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("message", "Id of the message; NULL if there is none", references="messages"),
        bigint("messageid", "Id of the message (`messages.id`)", references="messages"),
        text("name", "Name of the link"),
        text("ref", "Only ever seen empty; meaning not documented by the API"),
        bigint("tracked", "1 if clicks on the link are tracked"),
        bigint("uniquelinkclicks", "Number of clicks on the link, repeats left out"),
        bigint("updated_by", "Id of the user who last updated the link; only seen NULL"),
        wall_clock("updated_timestamp", "When the link was last updated; format unknown"),
    ),
)

MESSAGES = Stream(
    name="messages",
    family=Family.MARKETING,
    endpoint=Endpoint(path="messages", collection="messages"),
    description=(
        "One row per message: subject, sender and bodies of a mail that campaigns send. The table "
        "mirrors the account's current state, and each sync reads all of it. `html` and `text` "
        "can be tens of kilobytes per row; exclude these fields to keep the table small."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the message"),
        instant("cdate", "When the message was created"),
        text("charset", "Character set of the mail, e.g. utf-8"),
        bigint("ed_instanceid", "Id in the mail editor; 0 if it was not made there"),
        bigint("ed_version", "Version of the mail editor"),
        text("encoding", "Transfer encoding of the mail, e.g. quoted-printable"),
        text("format", "Format of the message, e.g. mime for HTML and text"),
        text("fromemail", "E-mail address of the sender", personal=True),
        text("fromname", "Name of the sender", personal=True),
        bigint("has_predictive_content", "1 if predictive content is used"),
        bigint("hidden", "1 if the message is hidden in the application"),
        text("html", "HTML body of the mail"),
        text("htmlfetch", "When or from where the HTML body is fetched; not documented"),
        text("language_code", "Language of the message; values not documented by the API"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("mdate", "When the message was last modified"),
        text("name", "Name of the message; may be empty"),
        text("preheader_text", "Preview text that mail clients show after the subject"),
        text("preview_data", "Only ever seen empty; meaning not documented by the API"),
        text("preview_mime", "Only ever seen empty; meaning not documented by the API"),
        bigint("priority", "Priority of the mail; codes not documented by the API"),
        text("reply2", "Address for replies; empty if it is the sender's", personal=True),
        text("source", "Where the message came from; values not documented by the API"),
        text("subject", "Subject of the mail"),
        text("text", "Text body of the mail"),
        text("textfetch", "When or from where the text body is fetched; not documented"),
        bigint("user", "Id of the message's user (`users.id`)", references="users"),
        bigint("userid", "Id of the message's user: the same as `user`", references="users"),
    ),
)

TEMPLATES = Stream(
    name="templates",
    family=Family.MARKETING,
    endpoint=Endpoint(path="templates", collection="templates", shape=Shape(local=("mdate",))),
    description=(
        "One row per template for mails, with its content. The table mirrors the account's "
        "current state, and each sync reads all of it. `mdate` comes with or without an offset; "
        "without one it is read in the account's time zone. `content` makes rows large."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the template"),
        bigint("categoryid", "Id of the template's category; 0 if none"),
        text("content", "Content of the template"),
        bigint("ed_instanceid", "Id in the mail editor; 0 if it was not made there"),
        bigint("ed_version", "Version of the mail editor"),
        bigint("hidden", "1 if the template is hidden in the application"),
        bigint("importnum", "A number about the template's import; not documented by the API"),
        nested("links", "URLs of related resources, keyed by resource name, or an empty array"),
        instant("mdate", "When the template was last modified"),
        bigint("modified", "Apparently a 0/1 flag; meaning not documented by the API"),
        text("name", "Name of the template"),
        text("preview_content", "Only ever seen empty; meaning not documented by the API"),
        text("screenshot", "Address of a picture of the template"),
        text("subject", "Subject for mails made from it; only ever seen empty"),
        bigint("used", "A flag or count of use; meaning not documented by the API"),
        bigint("userid", "Id of the template's user; 0 if none", references="users"),
        bigint("waitpreview", "Apparently a 0/1 flag; meaning not documented by the API"),
    ),
)

SAVED_RESPONSES = Stream(
    name="saved_responses",
    family=Family.MARKETING,
    endpoint=Endpoint(path="savedResponses", collection="savedResponses"),
    description=(
        "One row per saved response: a prepared text that users put into mails to individual "
        "contacts. The table mirrors the account's current state, and each sync reads all of it. "
        "Plans without saved responses have no rows."
    ),
    walk=ByOffset(),
    missing=Missing(statuses=frozenset({403}), says="saved responses"),
    fields=(
        bigint("id", "Id of the saved response"),
        text("body", "Text of the response"),
        instant("cdate", "When the response was created"),
        bigint("last_sent_user_id", "Id of the user who last sent it", references="users"),
        instant("ldate", "When the response was last sent; format unknown"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("mdate", "When the response was last modified; format unknown"),
        text("subject", "Subject of the mail"),
        text("title", "Name of the response"),
    ),
)

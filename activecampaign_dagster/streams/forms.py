"""Forms, scores and personalizations: what an account sets up to win and to address contacts.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.
"""

from activecampaign_dagster.streams.columns import (
    bigint,
    boolean,
    instant,
    nested,
    text,
    wall_clock,
)
from activecampaign_dagster.streams.declaration import (
    ByOffset,
    Endpoint,
    Family,
    Missing,
    Shape,
    Stream,
)

FORMS = Stream(
    name="forms",
    family=Family.MARKETING,
    endpoint=Endpoint(path="forms", collection="forms"),
    description=(
        "One row per form with which contacts subscribe, with its design and its actions as JSON."
        " The table mirrors the account's current state: a deleted form is removed by the next "
        "sync. Submissions are not readable; `entries` counts them."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the form"),
        text("action", "Only ever seen empty; see `actiondata`"),
        nested("actiondata", "Actions when the form is sent, e.g. lists to subscribe to"),
        text("address", "Only ever seen NULL; see `addressid`"),
        bigint("addressid", "Id of the postal address; 0 if none", references="addresses"),
        bigint("aid", "A number or NULL; meaning not documented by the API"),
        text("body", "Only ever seen NULL or empty; meaning not documented by the API"),
        text("button", "Text of the button"),
        instant("cdate", "When the form was created"),
        nested("cfields", "Fields of the form"),
        bigint("contacts", "A number in some responses, presumably of contacts"),
        bigint("deals", "A number in some responses, presumably of deals"),
        text("defaultscreenshot", "Address of a preview picture of the form"),
        bigint("entries", "Number of submissions"),
        text("layout", "Layout of the form, e.g. inline-form"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("name", "Name of the form"),
        nested("options", "Settings of the form"),
        bigint("parentformid", "Id of the form it was made from; 0 if none", references="forms"),
        nested("recent", "Array in some responses; meaning not documented by the API"),
        text("source", "How the form came about; not documented by the API"),
        nested("style", "Design of the form"),
        text("submit", "Page or text shown after sending, e.g. show-thank-you"),
        nested("submitdata", "Details of `submit`, e.g. a URL"),
        text("thanks", "Text shown after sending"),
        text("title", "Title above the form; may be NULL or empty"),
        instant("udate", "When the form was last updated"),
        text("url", "Only ever seen NULL or empty; meaning not documented by the API"),
        bigint("userid", "Id of the user who made the form (`users.id`)", references="users"),
    ),
)

SCORES = Stream(
    name="scores",
    family=Family.MARKETING,
    endpoint=Endpoint(path="scores", collection="scores"),
    description=(
        "One row per score that the account defines for contacts or deals (`reltype`). The rules "
        "that give points are not readable; the points of contacts are in `score_values`. The "
        "table mirrors the account's current state."
    ),
    walk=ByOffset(),
    missing=Missing(statuses=frozenset({404}), says="the scoring feature"),
    fields=(
        bigint("id", "Id of the score"),
        instant("cdate", "When the score was created"),
        text("descript", "Description of the score"),
        nested("links", "URLs of related resources; only ever seen as an array"),
        instant("mdate", "When the score was last modified"),
        text("name", "Name of the score"),
        text("reltype", "What the score is for, e.g. contact"),
        bigint("status", "State of the score; the codes are not documented by the API"),
    ),
)

PERSONALIZATIONS = Stream(
    name="personalizations",
    family=Family.MARKETING,
    endpoint=Endpoint(
        path="personalizations",
        collection="personalizations",
        shape=Shape(first_filled={"listIds": ("listIds", "listids")}),
    ),
    description=(
        "One row per snippet of text or HTML that messages can include by its tag. Off by "
        "default: contents can be long and are rarely needed in reports. The table mirrors the "
        "account's current state."
    ),
    default=False,
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the snippet"),
        text("content", "The snippet itself, text or HTML"),
        bigint("created_by", "Id of the user who created the snippet; only ever seen NULL"),
        wall_clock("created_timestamp", "When the snippet was created, without an offset"),
        text("format", "Format of the snippet: html or text"),
        boolean("isLocked", "True if the snippet is locked"),
        nested("links", "URLs of related resources; only ever seen as an array"),
        text("listIds", "Ids of lists that may use it, joined by commas; also sent as listids"),
        text("listNames", "Names of those lists, joined by commas"),
        bigint("listsCount", "Number of those lists"),
        text("name", "Name of the snippet"),
        text("tag", "Tag with which messages include the snippet"),
        bigint("updated_by", "Id of the user who last updated the snippet; only ever seen NULL"),
        wall_clock("updated_timestamp", "When the snippet was last updated, without an offset"),
        bigint("userid", "Id of the user who made the snippet", references="users"),
    ),
)

"""Deals, the pipelines (`dealGroups`) that they run through and the stages of those pipelines.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.

A timestamp whose format is "unknown" has only been recorded as NULL or as a row of zeros; the
choice between TIMESTAMP and TIMESTAMPTZ is inferred from its neighbours.
"""

from activecampaign_dagster.streams.columns import (
    KINDS,
    bigint,
    boolean,
    instant,
    nested,
    text,
    wall_clock,
)
from activecampaign_dagster.streams.declaration import (
    ByCreation,
    ByOffset,
    Changes,
    Endpoint,
    Family,
    HiddenBy,
    Missing,
    Pivot,
    Stream,
    Stub,
)

_FEATURE = Missing(statuses=frozenset({403}), says="the Deals (CRM) feature")

DEALS = Stream(
    name="deals",
    family=Family.CRM,
    endpoint=Endpoint(path="deals", collection="deals"),
    description=(
        "One row per deal, with its pipeline, stage, owner and primary contact. If the key lacks "
        "permission for a pipeline, or the pipeline was deleted, its deals are returned as stubs "
        "(`isDisabled`): id, title and status only, everything else NULL. A stub never overwrites"
        " a full row: the row stays as last seen, and `_hidden_at` records since when. "
        "`_deleted_at` records when a sync found that the deal was deleted."
    ),
    walk=ByCreation(
        stamp="cdate",
        order="orders[cdate]",
        after="filters[created_after]",
        before="filters[created_before]",
    ),
    changes=Changes(
        stamp="mdate",
        created="cdate",
        after="filters[updated_after]",
        before="filters[updated_before]",
    ),
    pivot=Pivot(
        column="customFields",
        child="deal_custom_field_values",
        label_of="customFieldId",
        value="fieldValue",
        labels="deal_custom_fields",
        label="fieldLabel",
        kind="fieldType",
        kinds=KINDS,
        currency="custom_field_currency_type",
    ),
    stub=Stub(
        flag="isDisabled",
        fields=("id", "title", "status"),
        hidden_by=HiddenBy(
            name="pipelines",
            path="dealGroup/get_inaccessible_deal_groups",
            ids="dealIds[]",
            user="userId",
            collection="dealGroups",
            title="title",
        ),
    ),
    missing=_FEATURE,
    fields=(
        bigint("id", "Id of the deal"),
        bigint(
            "account",
            "Id of the deal's account (company); NULL, empty or 0 if there is none",
            references="accounts",
        ),
        bigint("activitycount", "Number of activities on the deal"),
        instant("cdate", "When the deal was created"),
        bigint("contact", "Id of the primary contact (`contacts.id`)", references="contacts"),
        text("currency", "Currency of `value`: three-letter ISO code in lower case, e.g. usd"),
        nested(
            "customFields",
            "The deal's custom field values, label → value; not sent by the API as such but "
            "derived by the sync from `include=dealCustomFieldData`",
        ),
        bigint(
            "customerAccount",
            "Id of the deal's account (company), sent next to `account`",
            references="accounts",
        ),
        text("description", "Free-text description of the deal"),
        wall_clock("edate", "Local time of the account; meaning not documented by the API"),
        bigint("group", "Id of the pipeline (`deal_groups.id`)", references="deal_groups"),
        text("hash", "Opaque hash of the deal; its use is not documented by the API"),
        boolean("isDisabled", "True for a stub: its pipeline is hidden from the key or deleted"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("mdate", "When the deal was last modified: the replication key, absent on stubs"),
        bigint(
            "nextTask",
            "Id of the next task, in few responses; see `nexttaskid`",
            references="tasks",
        ),
        instant("nextdate", "Date of the deal's next action; NULL if there is none"),
        bigint("nextdealid", "A number close to the id; meaning not documented by the API"),
        bigint(
            "nexttaskid",
            "Id of the deal's next task; NULL or 0 if there is none",
            references="tasks",
        ),
        bigint("organization", "Id of the organization; NULL, empty or 0 if there is none"),
        bigint("owner", "Id of the user who owns the deal (`users.id`)", references="users"),
        bigint("percent", "Percentage of the deal; the API documents no more than that"),
        bigint("stage", "Id of the pipeline stage (`deal_stages.id`)", references="deal_stages"),
        bigint("status", "State of the deal: 0 open, 1 won, 2 lost; some stubs lack it"),
        text("title", "Title of the deal; sent for stubs too"),
        bigint("value", "Value of the deal in cents of `currency` (10000 is 100.00)"),
        bigint("winProbability", "Win probability, a whole number such as 44; usually NULL"),
        instant("winProbabilityMdate", "When `winProbability` was last modified"),
    ),
)

DEAL_GROUPS = Stream(
    name="deal_groups",
    family=Family.CRM,
    endpoint=Endpoint(path="dealGroups", collection="dealGroups"),
    description=(
        "One row per pipeline that the API key's user may manage; others are not listed at all. "
        "The table mirrors the account's current state: a deleted pipeline is removed by the next"
        " sync, while its stages may stay in `deal_stages` and its deals come back as stubs."
    ),
    walk=ByOffset(),
    missing=_FEATURE,
    fields=(
        bigint("id", "Id of the pipeline"),
        bigint("allgroups", "1 if all user groups may manage the pipeline, 0 if only chosen ones"),
        bigint("allusers", "1 if new deals are auto-assigned to all users, 0 if to chosen ones"),
        bigint("autoassign", "Assignment of new deals: 0 off, 1 round robin, 2 by deal value"),
        instant("cdate", "When the pipeline was created"),
        bigint("count", "A count in some responses; its meaning is not documented"),
        text("currency", "Default currency of new deals: three-letter ISO code in lower case"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("source", "Only ever seen empty; meaning not documented by the API"),
        nested("stages", "Ids of the pipeline's stages (`deal_stages.id`)"),
        text("title", "Name of the pipeline"),
        instant("udate", "When the pipeline was last updated; can be 5 h in the future"),
        wall_clock("win_probability_initialize_date", "Meaning and format unknown"),
    ),
)

DEAL_STAGES = Stream(
    name="deal_stages",
    family=Family.CRM,
    endpoint=Endpoint(path="dealStages", collection="dealStages"),
    description=(
        "One row per pipeline stage, of all pipelines, including deleted ones and those that the "
        "API key's user may not manage, so `group` can name a pipeline that `deal_groups` lacks. "
        "The table mirrors the account's current state; both timestamps are NULL in most rows."
    ),
    walk=ByOffset(),
    missing=_FEATURE,
    fields=(
        bigint("id", "Id of the stage"),
        text("cardRegion1", "Upper left corner of deal cards, e.g. title"),
        text("cardRegion2", "Upper right corner of deal cards, e.g. next-action"),
        text("cardRegion3", "Whether deal cards show the avatar: show-avatar or hide-avatar"),
        text("cardRegion4", "Field that deal cards show next to the avatar"),
        text("cardRegion5", "Lower right corner of deal cards, e.g. value"),
        instant("cdate", "When the stage was created; NULL on most rows"),
        text("color", "Colour of the stage: six hexadecimal digits without the hash sign"),
        text("dealOrder", "How deals are sorted in the stage, e.g. next-action DESC"),
        bigint(
            "group",
            "Id of the pipeline (`deal_groups.id`), which may be deleted or hidden",
            references="deal_groups",
        ),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("order", "Position of the stage within its pipeline; ties are possible"),
        text("title", "Name of the stage"),
        instant("udate", "When the stage was last updated; mostly NULL, can be 5 h in the future"),
        bigint("width", "Width of the stage's column on screen, in pixels"),
    ),
)

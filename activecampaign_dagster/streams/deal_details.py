"""What belongs to deals: their history, further contacts with their roles, pipeline permissions.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.

A timestamp whose format is "unknown" has only been recorded as NULL; the choice between TIMESTAMP
and TIMESTAMPTZ is inferred from its neighbours.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text, wall_clock
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Changes,
    Endpoint,
    Family,
    Missing,
    NewestFirst,
    Stream,
)

# the 403 is recorded for the deals themselves; how their side tables answer is not established
DEALS_FEATURE = Missing(statuses=frozenset({403, 404}), says="the Deals (CRM) feature")

DEAL_ACTIVITIES = Stream(
    name="deal_activities",
    family=Family.CRM,
    endpoint=Endpoint(path="dealActivities", collection="dealActivities"),
    description=(
        "One row per change of a deal: moves between stages and pipelines, won, lost and more. "
        "This is the only record of when a deal entered a stage or was won, because a deal itself"
        " has one timestamp for all changes. A sync reads the newest activities first, back to "
        "those that it already has. Old rows may name stages, pipelines and users that no longer "
        "exist."
    ),
    walk=NewestFirst(stamp="cdate", order="orders[cdate]"),
    changes=Changes(stamp="cdate"),
    missing=DEALS_FEATURE,
    fields=(
        bigint("id", "Id of the activity"),
        bigint("automation", "Id of the automation; only ever seen NULL", references="automations"),
        instant("cdate", "When the change was made: the replication key"),
        bigint("d_id", "Id of a deal, presumably the same as `deal`", references="deals"),
        bigint(
            "d_stageid",
            "Id of a stage (`deal_stages.id`), presumably of the deal at that time",
            references="deal_stages",
        ),
        text("dataAction", "The new value, e.g. the id of the new stage; for `status` 1 means won"),
        bigint("dataId", "Id of something that the activity is about; not documented by the API"),
        text("dataOldval", "The value before the change, e.g. the id of the old stage; or empty"),
        text("dataType", "Kind of change: d_stageid (stage), d_groupid (pipeline), status, …"),
        bigint("deal", "Id of the deal (`deals.id`)", references="deals"),
        bigint("deleted", "1 if the activity is marked as deleted"),
        bigint(
            "isAddtask",
            "Apparently a 0/1 flag about an added task; not documented by the API",
        ),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint(
            "seriesid",
            "Id of the automation (`automations.id`); 0 if none",
            references="automations",
        ),
        instant("sortdate", "Timestamp by which activities are sorted; not documented by the API"),
        bigint("stage", "Id of a stage; only ever seen NULL", references="deal_stages"),
        bigint("user", "Id of the user who made the change (`users.id`)", references="users"),
        bigint("userid", "Id of the user again; see `user`", references="users"),
    ),
)

CONTACT_DEALS = Stream(
    name="contact_deals",
    family=Family.CRM,
    endpoint=Endpoint(path="contactDeals", collection="contactDeals"),
    description=(
        "One row per further contact of a deal, with the role that the contact has there. The "
        "primary contact is not among them: see `deals.contact`. The rows are read with the pages"
        " of contacts."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="cdate"),
    beside=Beside(
        parent="contacts",
        include="contactDeals",
        array="contactDeals",
        owner="contact",
        listed="contactDeals",
    ),
    missing=DEALS_FEATURE,
    fields=(
        bigint("id", "Id of the link between contact and deal"),
        instant("cdate", "When the contact was added to the deal: the replication key"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("created_by", "Id of the user who added the contact; only ever seen NULL"),
        wall_clock("created_timestamp", "Creation, without an offset; see `cdate`"),
        bigint("deal", "Id of the deal (`deals.id`)", references="deals"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint(
            "role",
            "Id of the contact's role (`deal_roles.id`); NULL if there is none",
            references="deal_roles",
        ),
        bigint("updated_by", "Id of the user who last changed the link; only ever seen NULL"),
        wall_clock("updated_timestamp", "Last change of the link, without an offset"),
    ),
)

DEAL_ROLES = Stream(
    name="deal_roles",
    family=Family.CRM,
    endpoint=Endpoint(path="dealRoles", collection="dealRoles"),
    description=(
        "One row per role that a contact can have in a deal, such as decision maker. "
        "`contact_deals.role` refers to them. The table mirrors the account's current state: a "
        "deleted role is removed by the next sync."
    ),
    walk=ByOffset(),
    missing=DEALS_FEATURE,
    fields=(
        bigint("id", "Id of the role"),
        instant("created_timestamp", "When the role was created; unlike elsewhere with an offset"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("title", "Name of the role"),
        instant("updated_timestamp", "When the role was last updated, with an offset"),
    ),
)

DEAL_GROUP_USERS = Stream(
    name="deal_group_users",
    family=Family.CRM,
    endpoint=Endpoint(path="dealGroupUsers", collection="dealGroupUsers"),
    description=(
        "One row per pipeline and user listed for it. Together with `deal_group_groups` it helps "
        "to explain which deals a user's key sees only as stubs; ActiveCampaign does not document "
        "whether these users manage the pipeline or are assigned its deals. The table mirrors the "
        "account's current state."
    ),
    walk=ByOffset(),
    missing=DEALS_FEATURE,
    fields=(
        bigint("id", "Id of the link between pipeline and user"),
        instant("cdate", "When the user was listed; format unknown"),
        bigint("dealGroup", "Id of the pipeline (`deal_groups.id`)", references="deal_groups"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("user", "Id of the user (`users.id`)", references="users"),
    ),
)

DEAL_GROUP_GROUPS = Stream(
    name="deal_group_groups",
    family=Family.CRM,
    endpoint=Endpoint(path="dealGroupGroups", collection="dealGroupGroups"),
    description=(
        "One row per pipeline and user group that may manage it. Pipelines with "
        "`deal_groups.allgroups` = 1 are open to every group. The API does not document this "
        "collection: it may not be available in all accounts."
    ),
    walk=ByOffset(),
    missing=DEALS_FEATURE,
    fields=(
        bigint("id", "Id of the permission"),
        instant("cdate", "When the permission was given; format unknown"),
        bigint("d_groupid", "Id of the pipeline again; see `dealGroup`", references="deal_groups"),
        bigint("dealGroup", "Id of the pipeline (`deal_groups.id`)", references="deal_groups"),
        bigint("group", "Id of the user group (`groups.id`)", references="groups"),
        bigint("groupid", "Id of the user group again; see `group`", references="groups"),
        nested("links", "URLs of related resources, keyed by resource name"),
    ),
)

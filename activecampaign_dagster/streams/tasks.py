"""Tasks on deals, contacts and accounts, with their types and outcomes.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.

A timestamp whose format is "unknown" has only been recorded as NULL; the choice between TIMESTAMP
and TIMESTAMPTZ is inferred from its neighbours.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text, wall_clock
from activecampaign_dagster.streams.declaration import (
    ByOffset,
    Endpoint,
    Family,
    Missing,
    Stream,
)

_MISSING = Missing(statuses=frozenset({403}), says="the Deals (CRM) feature")

TASKS = Stream(
    name="tasks",
    family=Family.CRM,
    endpoint=Endpoint(path="dealTasks", collection="dealTasks"),
    description=(
        "One row per task on a deal, a contact or an account: `reltype` says which, `relid` its "
        "id. The API cannot select changed tasks, so each sync reads all of them."
    ),
    walk=ByOffset(),
    missing=_MISSING,
    fields=(
        bigint("id", "Id of the task"),
        bigint("assignee", "Id of the user who is to do it (`users.id`)", references="users"),
        bigint("automation", "Id of an automation; only ever seen NULL"),
        instant("cdate", "When the task was created"),
        bigint("dealTasktype", "Id of the task's type (`task_types.id`)", references="task_types"),
        bigint("doneAutomation", "Id of an automation; only ever seen NULL"),
        instant("donedate", "When the task was done; format unknown"),
        instant("duedate", "When the task is due"),
        bigint("duration", "Duration of the task; unit not documented by the API"),
        instant("edate", "A timestamp of the task; presumably its end"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("note", "Text of the task", personal=True),
        bigint("outcomeId", "Id of the outcome; NULL if none", references="task_outcomes"),
        text("outcomeInfo", "Text about the outcome; NULL if none", personal=True),
        nested("owner", "The record that the task is on, as `type` and `id`"),
        bigint("relid", "Id of the record that the task is on; see `reltype`"),
        text("reltype", "Deal, Subscriber (a contact) or CustomerAccount"),
        bigint("status", "State of the task: 0 open, 1 done"),
        text("title", "Title of the task; often empty", personal=True),
        instant("udate", "When the task was last updated"),
        bigint("user", "Id of the user who created the task (`users.id`)", references="users"),
    ),
)

TASK_TYPES = Stream(
    name="task_types",
    family=Family.CRM,
    endpoint=Endpoint(path="dealTasktypes", collection="dealTasktypes"),
    description=(
        "One row per type of task in the account, such as call or to-do. The table mirrors the "
        "account's current state, and each sync reads all of it."
    ),
    walk=ByOffset(),
    missing=_MISSING,
    fields=(
        bigint("id", "Id of the type"),
        instant("cdate", "When the type was created; NULL in some responses"),
        bigint("created_by", "Id of the user who created it (`users.id`)", references="users"),
        instant("created_utc_timestamp", "When the type was created; see `cdate`"),
        bigint("defduration", "Default duration of such tasks; unit not documented by the API"),
        bigint("display_order", "Position of the type among the account's types"),
        nested("links", "URLs of related resources, keyed by resource name, or an empty array"),
        nested("outcomes", "Outcomes of the type; format unknown"),
        bigint("status", "State of the type; codes not documented by the API"),
        text("title", "Name of the type"),
        instant("udate", "When the type was last updated; NULL in some responses"),
        bigint("updated_by", "Id of the user who last updated it; NULL if none"),
        instant("updated_utc_timestamp", "When the type was last updated; see `udate`"),
    ),
)

TASK_OUTCOMES = Stream(
    name="task_outcomes",
    family=Family.CRM,
    endpoint=Endpoint(path="taskOutcomes", collection="taskOutcomes"),
    description=(
        "One row per outcome that a task can have. The table mirrors the account's current state,"
        " and each sync reads all of it; which types of task an outcome is for is in "
        "`task_type_outcome_rels`."
    ),
    walk=ByOffset(),
    missing=_MISSING,
    fields=(
        bigint("id", "Id of the outcome"),
        bigint("created_by", "Id of the user who created it (`users.id`)", references="users"),
        instant("created_utc_timestamp", "When the outcome was created"),
        nested("dealTasktype_ids", "Ids of the types that it is for (`task_types.id`)"),
        bigint("disabled", "1 if the outcome can no longer be chosen; may be empty"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("sentiment", "Whether the outcome is positive, as a word"),
        text("title", "Name of the outcome"),
        bigint("updated_by", "Id of the user who last updated it (`users.id`)", references="users"),
        instant("updated_utc_timestamp", "When the outcome was last updated"),
    ),
)

TASK_TYPE_OUTCOME_RELS = Stream(
    name="task_type_outcome_rels",
    family=Family.CRM,
    endpoint=Endpoint(path="tasktypeOutcomeRels", collection="tasktypeOutcomeRels"),
    description=(
        "One row per type of task and outcome that tasks of that type can have. The table mirrors"
        " the account's current state, and each sync reads all of it."
    ),
    walk=ByOffset(),
    missing=_MISSING,
    fields=(
        bigint("id", "Id of the link between type and outcome"),
        bigint("createdBy", "Id of the user who created it: the same as `created_by`"),
        bigint("created_by", "Id of the user who created it (`users.id`)", references="users"),
        instant("created_utc_timestamp", "When the link was created"),
        bigint("display_order", "Position of the outcome among those of the type"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("outcome", "Id of the outcome (`task_outcomes.id`)", references="task_outcomes"),
        bigint("outcome_id", "Id of the outcome: the same as `outcome`"),
        bigint("tasktype", "Id of the type (`task_types.id`)", references="task_types"),
        bigint("tasktype_id", "Id of the type: the same as `tasktype`"),
        bigint("updated_by", "Id of the user who last updated it; only ever seen NULL"),
        wall_clock("updated_utc_timestamp", "Last update, without offset; time zone unknown"),
    ),
)

TASK_NOTIFICATIONS = Stream(
    name="task_notifications",
    family=Family.CRM,
    endpoint=Endpoint(path="taskNotifications", collection="taskNotifications"),
    description=(
        "One row per notification about a task. Only the id is declared; all other fields that "
        "the API sends become columns. Off by default: no record has been seen."
    ),
    walk=ByOffset(),
    missing=_MISSING,
    default=False,
    fields=(bigint("id", "Id of the notification"),),
)

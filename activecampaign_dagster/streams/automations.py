"""Automations: their steps, triggers and goals, and the contacts that run through them.

Fields and types follow the ActiveCampaign API v3 docs, recorded responses and what clients of the
API read. The docs explain few of these fields; most meanings are inferred from names.

A timestamp whose format is "unknown" has no recorded value; the choice between TIMESTAMP and
TIMESTAMPTZ is inferred from stamps of the same name in other collections.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Changes,
    Each,
    Endpoint,
    Family,
    Missing,
    Stream,
)

AUTOMATIONS = Stream(
    name="automations",
    family=Family.AUTOMATION,
    endpoint=Endpoint(path="automations", collection="automations"),
    description=(
        "One row per automation, with the number of contacts that entered and left it. The table "
        "mirrors the account's current state: a deleted automation is removed by the next sync. "
        "ActiveCampaign does not document whether the counters update `mdate`, so each sync reads"
        " all automations."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the automation"),
        instant("cdate", "When the automation was created"),
        text("defaultscreenshot", "Address of the picture used instead of `screenshot`"),
        text("description", "Description of the automation"),
        bigint("entered", "Number of entries into the automation"),
        bigint("entitlements_violation", "Apparently a 0/1 flag; not documented by the API"),
        bigint("exit_on_conversion", "1 if a contact leaves when a conversion is reached"),
        bigint("exit_on_unsubscribe", "1 if a contact leaves when unsubscribing"),
        bigint("exited", "Number of contacts that left the automation"),
        bigint("hidden", "1 if the automation is hidden in the application"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("mdate", "When the automation was last modified"),
        bigint("multientry", "1 if a contact can enter more than once"),
        text("name", "Name of the automation"),
        text("screenshot", "Address of a picture of the automation"),
        bigint("source", "How the automation came about; codes not documented by the API"),
        bigint("status", "State of the automation; codes not documented by the API"),
        bigint("userid", "Id of the automation's user (`users.id`)", references="users"),
    ),
)

AUTOMATION_BLOCKS = Stream(
    name="automation_blocks",
    family=Family.AUTOMATION,
    endpoint=Endpoint(path="automationBlocks", collection="automationBlocks"),
    description=(
        "One row per step of an automation: send, wait, goal, if and so on, as `type` says. What "
        "a step does is in `params`, whose keys depend on `type`. The table mirrors the account's"
        " current state, and each sync reads all of it; `deleted` marks steps that the API still "
        "lists."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the step"),
        bigint("automation", "Id of the automation (`automations.id`)", references="automations"),
        instant("cdate", "When the step was created; format unknown"),
        bigint("deleted", "1 if the step is marked as deleted"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("mdate", "When the step was last modified; format unknown"),
        bigint("ordernum", "Position of the step; the API does not document how it counts"),
        nested(
            "params",
            "Settings of the step, or an empty array; may hold addresses and texts of mails",
            personal=True,
        ),
        bigint("parent", "Id of the step that it follows", references="automation_blocks"),
        bigint("parentid", "Id of that step, in some responses", references="automation_blocks"),
        bigint("seriesid", "Id of the automation, in some responses", references="automations"),
        text("type", "Kind of step, e.g. send, wait, addtag, goal or if"),
    ),
)

AUTOMATION_TRIGGERS = Stream(
    name="automation_triggers",
    family=Family.AUTOMATION,
    endpoint=Endpoint(path="automations/{seriesid}/triggers", collection="automationTriggers"),
    description=(
        "One row per trigger that lets contacts enter an automation. The API has no list of all "
        "triggers: they come with the pages of automations or, failing that, by one request for "
        "each automation. The table mirrors the account's current state, and each sync reads all "
        "of it."
    ),
    walk=ByOffset(),
    beside=Beside(
        parent="automations", include="triggers", array="automationTriggers", owner="seriesid"
    ),
    each=Each(stream="automations", parameter="seriesid"),
    fields=(
        bigint("id", "Id of the trigger"),
        instant("cdate", "When the trigger was created; format unknown"),
        nested("links", "URLs of related resources, or an array"),
        instant("mdate", "When the trigger was last modified; format unknown"),
        bigint("multientry", "1 if a contact can enter by it more than once"),
        nested("params", "Settings of the trigger; the keys depend on `type`"),
        bigint("relid", "Id of the trigger's object, whose kind depends on `type`"),
        bigint("segmentid", "Id of the segment of its conditions", references="segments"),
        bigint("seriesid", "Id of the automation (`automations.id`)", references="automations"),
        text("type", "Kind of trigger, e.g. tagadd"),
    ),
)

GOALS = Stream(
    name="goals",
    family=Family.AUTOMATION,
    endpoint=Endpoint(path="goals", collection="goals"),
    description=(
        "One row per goal of an automation. Its conditions are not in the record but in an "
        "unnamed segment. The table mirrors the account's current state, and each sync reads all "
        "of it."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the goal"),
        bigint("automation", "Id of the automation (`automations.id`)", references="automations"),
        bigint(
            "automation_block",
            "Id of the step; the API's spelling of the field is not known, see `blockid`",
            references="automation_blocks",
        ),
        bigint("blockid", "Id of the step that is the goal", references="automation_blocks"),
        instant("cdate", "When the goal was created; format unknown"),
        bigint("dirty_stats", "Apparently a 0/1 flag; the API's spelling is not known"),
        text("name", "Name of the goal"),
        bigint("seriesid", "Id of the automation (`automations.id`)", references="automations"),
    ),
)

CONTACT_AUTOMATIONS = Stream(
    name="contact_automations",
    family=Family.AUTOMATION,
    endpoint=Endpoint(path="contactAutomations", collection="contactAutomations"),
    description=(
        "One row per entry of a contact into an automation; a contact that enters twice has two. "
        "The rows are read with the pages of contacts. ActiveCampaign does not document whether a"
        " step updates the contact's `udate`, so all contacts are re-read once a day. The table "
        "grows with contacts and automations: it can be one of the largest."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="lastdate", created="adddate"),
    beside=Beside(
        parent="contacts",
        include="contactAutomations",
        array="contactAutomations",
        owner="contact",
        listed="contactAutomations",
    ),
    fields=(
        bigint("id", "Id of the entry"),
        instant("adddate", "When the contact entered the automation"),
        bigint("automation", "Id of the automation (`automations.id`)", references="automations"),
        text("batchid", "Id of the batch that the contact was added with; NULL if none"),
        bigint("completeValue", "A number next to `completed`; presumably the percentage done"),
        bigint("completed", "1 if the contact has completed the automation"),
        bigint("completedElements", "Number of steps that the contact has completed"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("in_als", "In some responses only; meaning not documented by the API"),
        bigint("lastblock", "Id of the step reached last", references="automation_blocks"),
        instant("lastdate", "When the contact reached that step: the replication key"),
        bigint("lastlogid", "Id of the last entry in the log of the automation"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("remdate", "When the contact left the automation; NULL if still in it"),
        bigint("seriesid", "Id of the automation (`automations.id`)", references="automations"),
        bigint("startid", "Id of the trigger or start; which is not documented by the API"),
        bigint("status", "1 in progress, 2 ended"),
        bigint("timespan", "Time from entry to end; unit not documented by the API"),
        bigint("totalElements", "Number of steps in all"),
    ),
)

CONTACT_GOALS = Stream(
    name="contact_goals",
    family=Family.AUTOMATION,
    endpoint=Endpoint(path="contactGoals", collection="contactGoals"),
    description=(
        "One row per contact and goal that it reached in an automation. The rows are read with "
        "the pages of contacts. Off by default: the table grows with contacts and goals and shows "
        "what individual contacts did."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="tstamp"),
    beside=Beside(parent="contacts", include="contactGoals", array="contactGoals", owner="contact"),
    default=False,
    fields=(
        bigint("id", "Id of the reached goal"),
        bigint("automation", "Id of the automation (`automations.id`)", references="automations"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint(
            "contactAutomation",
            "Id of the contact's entry (`contact_automations.id`)",
            references="contact_automations",
        ),
        bigint("goal", "Id of the goal (`goals.id`)", references="goals"),
        bigint("goalid", "Id of the goal: the same as `goal`", references="goals"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("seriesid", "Id of the automation: the same as `automation`"),
        bigint("subscriberid", "Id of the contact: the same as `contact`", references="contacts"),
        bigint("subscriberseriesid", "Id of the entry: the same as `contactAutomation`"),
        bigint("timespan", "Time from entry to goal; unit not documented by the API"),
        instant("tstamp", "When the goal was reached: the replication key"),
    ),
)

SITE_MESSAGES = Stream(
    name="site_messages",
    family=Family.AUTOMATION,
    endpoint=Endpoint(path="siteMessages", collection="siteMessages"),
    description=(
        "One row per message that an automation shows on the account's website. The table mirrors"
        " the account's current state, and each sync reads all of it. Off by default: few plans "
        "have site messages, and no record has been seen."
    ),
    walk=ByOffset(),
    missing=Missing(statuses=frozenset({403, 404}), says="site messages"),
    default=False,
    fields=(
        bigint("id", "Id of the site message"),
        bigint("automation", "Id of the automation (`automations.id`)", references="automations"),
        instant("ldate", "A timestamp; neither meaning nor format is documented by the API"),
        text("name", "Name of the site message"),
        nested("template", "The message in two forms: `initial` and `detailed`"),
    ),
)

AUTOMATION_SMS = Stream(
    name="automation_sms",
    family=Family.AUTOMATION,
    endpoint=Endpoint(path="sms", collection="sms"),
    description=(
        "One row per text message that an automation sends, with its counters. Broadcasts of text"
        " messages are other records: see `sms_broadcasts`. Off by default: few plans have text "
        "messages in automations, and no record has been seen."
    ),
    walk=ByOffset(),
    missing=Missing(statuses=frozenset({403, 404}), says="text messages in automations"),
    default=False,
    fields=(
        bigint("id", "Id of the text message"),
        bigint("automation", "Id of the automation (`automations.id`)", references="automations"),
        bigint("failed", "Number of messages that could not be sent"),
        instant("ldate", "A timestamp; neither meaning nor format is documented by the API"),
        text("msg", "Text of the message"),
        bigint("replies", "Number of replies, repeats included"),
        instant("sdate", "A timestamp; neither meaning nor format is documented by the API"),
        bigint("sent", "Number of messages sent"),
        bigint("seriesid", "Id of the automation (`automations.id`)", references="automations"),
        text("tf_day", "Day on which it may be sent; values not documented by the API"),
        bigint("tf_hr_from", "Hour from which it may be sent; zone not documented"),
        bigint("tf_hr_to", "Hour until which it may be sent; zone not documented"),
        instant("tstamp", "A timestamp; neither meaning nor format is documented by the API"),
        bigint("uniquereplies", "Number of contacts who replied"),
        bigint("unsubscribes", "Number of unsubscriptions"),
        bigint("user", "Id of a user (`users.id`); role not documented", references="users"),
        bigint("userid", "Id of a user: the same as `user`", references="users"),
    ),
)

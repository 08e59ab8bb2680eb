"""Groups of users, who is in them, what they may do and how much.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses. Neither explains the
permissions of a group: what one allows is known from its name only.
"""

from datetime import timedelta

from activecampaign_dagster.streams.columns import bigint, instant, nested, text
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Each,
    Endpoint,
    Family,
    Stream,
)

GROUPS = Stream(
    name="groups",
    family=Family.SETTINGS,
    endpoint=Endpoint(path="groups", collection="groups"),
    description=(
        "One row per group of users, with a column per permission: 1 if its users have it. The "
        "table mirrors the account's current state: a deleted group is removed by the next sync."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the group"),
        text("descript", "Description of the group"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("optinconfirm", "Whether opt-ins must be confirmed, judging by the name"),
        bigint("p_admin", "1 for the group of administrators, judging by the name"),
        bigint("pgAccountAdd", "Permission to add accounts (companies)"),
        bigint("pgAccountDelete", "Permission to delete accounts (companies)"),
        bigint("pgAccountEdit", "Permission to edit accounts (companies)"),
        bigint("pgAccountExport", "Permission to export accounts (companies)"),
        bigint("pgAccountImport", "Permission to import accounts (companies)"),
        bigint(
            "pgAccountManageCustomField",
            "Permission to manage custom fields of accounts (companies)",
        ),
        bigint("pgAccountNoteAdd", "Permission to add notes to accounts (companies)"),
        bigint("pgAccountNoteDelete", "Permission to delete notes of accounts (companies)"),
        bigint("pgAccountNoteEdit", "Permission to edit notes of accounts (companies)"),
        bigint("pgAutomationManage", "Permission to manage automations"),
        bigint("pgContactActions", "Permission to use actions on contacts"),
        bigint("pgContactAdd", "Permission to add contacts"),
        bigint("pgContactApprove", "Permission to approve contacts"),
        bigint("pgContactDelete", "Permission to delete contacts"),
        bigint("pgContactEdit", "Permission to edit contacts"),
        bigint("pgContactExport", "Permission to export contacts"),
        bigint("pgContactFields", "Permission to manage custom fields of contacts"),
        bigint("pgContactFilters", "Permission to use filters of contacts"),
        bigint("pgContactImport", "Permission to import contacts"),
        bigint("pgContactMerge", "Permission to merge contacts"),
        bigint("pgContactResubscribe", "Permission to resubscribe contacts"),
        bigint("pgContactSync", "Permission to sync contacts"),
        bigint("pgDeal", "Permission to use deals"),
        bigint("pgDealDelete", "Permission to delete deals"),
        bigint("pgDealExport", "Permission to export deals"),
        bigint("pgDealFields", "Permission to manage custom fields of deals"),
        bigint("pgDealGroupAdd", "Permission to add pipelines"),
        bigint("pgDealGroupDelete", "Permission to delete pipelines"),
        bigint("pgDealGroupEdit", "Permission to edit pipelines"),
        bigint("pgDealImport", "Permission to import deals"),
        bigint("pgDealListAll", "Permission to list all deals"),
        bigint("pgDealManageRoles", "Permission to manage the roles of contacts in deals"),
        bigint("pgDealNoteAdd", "Permission to add notes to deals"),
        bigint("pgDealNoteDelete", "Permission to delete notes of deals"),
        bigint("pgDealNoteEdit", "Permission to edit notes of deals"),
        bigint("pgDealReassign", "Permission to reassign deals"),
        bigint("pgFormEdit", "Permission to edit forms"),
        bigint("pgGroupAdd", "Permission to add groups"),
        bigint("pgGroupDelete", "Permission to delete groups"),
        bigint("pgGroupEdit", "Permission to edit groups"),
        bigint("pgLandingPagesAccess", "Permission to access landing pages"),
        bigint("pgListAdd", "Permission to add lists"),
        bigint("pgListBounce", "Permission to manage bounces of lists"),
        bigint("pgListDelete", "Permission to delete lists"),
        bigint("pgListEdit", "Permission to edit lists"),
        bigint("pgListEmailaccount", "Permission to manage e-mail accounts of lists"),
        bigint("pgListHeaders", "Permission to manage mail headers of lists"),
        bigint("pgMessageAdd", "Permission to add messages"),
        bigint("pgMessageDelete", "Permission to delete messages"),
        bigint("pgMessageEdit", "Permission to edit messages"),
        bigint("pgMessageSend", "Permission to send messages"),
        bigint("pgMfaAdmin", "Permission to administer multi-factor authentication"),
        bigint("pgPersonalizationAdd", "Permission to add personalizations"),
        bigint("pgPersonalizationDelete", "Permission to delete personalizations"),
        bigint("pgPersonalizationEdit", "Permission to edit personalizations"),
        bigint("pgReportsCampaign", "Permission to see reports on campaigns"),
        bigint("pgReportsDeal", "Permission to see reports on deals"),
        bigint("pgReportsList", "Permission to see reports on lists"),
        bigint("pgReportsTrend", "Permission to see reports on trends"),
        bigint("pgReportsUser", "Permission to see reports on users"),
        bigint("pgSavedResponsesManage", "Permission to manage saved responses"),
        bigint("pgStartupGettingstarted", "Permission to see the page for getting started"),
        bigint("pgStartupReports", "Permission to see reports on the start page"),
        bigint("pgTagManage", "Permission to manage tags"),
        bigint("pgTemplateAdd", "Permission to add templates"),
        bigint("pgTemplateDelete", "Permission to delete templates"),
        bigint("pgTemplateEdit", "Permission to edit templates"),
        bigint("pgWebPersonalizationManage", "Permission to manage web personalization"),
        bigint("pg_user_add", "Permission to add users"),
        bigint("pg_user_delete", "Permission to delete users"),
        bigint("pg_user_edit", "Permission to edit users"),
        bigint("reqApproval", "1 if campaigns need approval, judging by the name"),
        bigint("reqApproval1st", "1 if only first campaigns need approval, judging by the name"),
        text("reqApprovalNotify", "Only ever seen empty; meaning not documented by the API"),
        instant(
            "sdate", "A timestamp of the group, mostly NULL; meaning not documented by the API"
        ),
        bigint("socialdata", "Apparently a 0/1 flag; meaning not documented by the API"),
        text("title", "Name of the group"),
        bigint("unsubscribelink", "Whether an unsubscribe link is required, judging by the name"),
    ),
)

USER_GROUPS = Stream(
    name="user_groups",
    family=Family.SETTINGS,
    endpoint=Endpoint(path="users/{user}/userGroup", collection="userGroups"),
    description=(
        "One row per user and group that the user is in. Off by default: it may take one request "
        "per user, because reading the rows with the users' pages was not tried."
    ),
    walk=ByOffset(),
    beside=Beside(
        parent="users",
        include="userGroup",
        array="userGroups",
        owner="user",
        passes=timedelta(days=7),
    ),
    each=Each(stream="users", parameter="user"),
    default=False,
    fields=(
        bigint("id", "Id of the membership"),
        instant("cdate", "When the membership was created; may be NULL"),
        bigint("group", "Id of the group (`groups.id`)", references="groups"),
        bigint("groupid", "Id of the group again: the same as `group`"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("udate", "When the membership was last updated; may be NULL"),
        bigint("user", "Id of the user (`users.id`)", references="users"),
        bigint("userid", "Id of the user again: the same as `user`"),
    ),
)

GROUP_LIMITS = Stream(
    name="group_limits",
    family=Family.SETTINGS,
    endpoint=Endpoint(path="groupLimits", collection="groupLimits"),
    description=(
        "One row per group of users, with the limits on what its users may send and create. The "
        "table mirrors the account's current state; ActiveCampaign does not document the meaning "
        "of a limit of 0."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the row"),
        bigint("abuseRatio", "Limit of the ratio of abuse complaints, judging by the name"),
        bigint("forceSenderInfo", "Apparently a 0/1 flag; meaning not documented by the API"),
        bigint("group", "Id of the group (`groups.id`)", references="groups"),
        bigint("groupid", "Id of the group again: the same as `group`"),
        bigint("limitAttachment", "Limit on attachments"),
        bigint("limitCampaign", "Limit on campaigns per `limitCampaignType`"),
        text("limitCampaignType", "The span of time that `limitCampaign` is for"),
        bigint("limitContact", "Limit on contacts"),
        bigint("limitList", "Limit on lists"),
        bigint("limitMail", "Limit on mails per `limitMailType`"),
        text("limitMailType", "The span of time that `limitMail` is for"),
        bigint("limitUser", "Limit on users"),
        nested("links", "URLs of related resources, keyed by resource name"),
    ),
)

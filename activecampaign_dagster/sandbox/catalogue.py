"""Every collection of the API that the sandbox serves, one line each.

Paths, keys, kinds of totals, filters and orders are the documented, recorded or observed ones;
the fields are in `recorded.txt`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from activecampaign_dagster.sandbox import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One collection.

    `name` is its name in options, in `truth` and, unless `array` differs, in answers; `path` is
    empty where there is no list of all. `size` counts the records, or those per record of
    `parent`; `distinct` is the fact in which siblings differ. `total` is the kind of `meta.total`:
    "text", "int" or "none". `needs` names the feature without which there is no answer. `filters`
    maps `filters[…]` to a field or fact; `orders` are honoured. `key` names a record, "" where
    nothing does. `named` are the titles of the first records.
    """

    name: str
    path: str
    array: str
    singular: str
    model: str
    parent: str = ""
    size: float = 0
    distinct: str = ""
    total: str = "text"
    needs: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    orders: tuple[str, ...] = ()
    key: str = "id"
    missing: int = 404
    named: tuple[str, ...] = ()


# fact → the collection whose ids it holds
TARGETS = {
    "account": "accounts",
    "automation": "automations",
    "automation_block": "automationBlocks",
    "campaign": "campaigns",
    "connection": "connections",
    "contact": "contacts",
    "contactAutomation": "contactAutomations",
    "conversion": "conversions",
    "conversion_trigger": "conversionTriggers",
    "customer": "ecomCustomers",
    "deal": "deals",
    "dealGroup": "dealGroups",
    "dealTasktype": "dealTasktypes",
    "field": "fields",
    "geoAddress": "geoAddresses",
    "goal": "goals",
    "group": "groups",
    "link": "links",
    "list": "lists",
    "message": "messages",
    "order": "ecomOrders",
    "outcome": "taskOutcomes",
    "role": "dealRoles",
    "score": "scores",
    "tag": "tags",
    "user": "users",
}
FACTS = {target: fact for fact, target in TARGETS.items()}

# a feature that can be off, and how the API answers then
FEATURES: dict[str, tuple[int, str]] = {
    "crm": (403, "Upgrade your account to enable the CRM"),
    "accounts": (404, "No Result found for the requested path"),
    "scoring": (404, "No Result found for the requested path"),
    "ecommerce": (403, "Forbidden"),
    "sms": (403, "Forbidden"),
    "attribution": (403, "Forbidden"),
    "custom objects": (400, "Bad Request"),
    "segments v2": (404, "No Result found for the requested path"),
    "saved responses": (403, "Forbidden"),
    "notes": (403, "Forbidden"),
    "site messages": (403, "Forbidden"),
    "site tracking": (404, "No Result found for the requested path"),
}
_MODELS = {
    "contacts": "Subscriber",
    "accounts": "CustomerAccount",
    "contactTags": "SubscriberTag",
    "contactAutomations": "SubscriberSeries",
    "lists": "_List",
}


def _one(name: str, size: float = 0, needs: str = "", **more: Any) -> Collection:
    """A collection whose path, array and singular are called as it is."""
    array = more.pop("array", name)
    singular = more.pop("singular", array[:-2] + "y" if array.endswith("ies") else array[:-1])
    model = _MODELS.get(name, singular[0].upper() + singular[1:])
    path = more.pop("path", name)
    return Collection(
        name=name, path=path, array=array, singular=singular, model=model, size=size,
        needs=needs, **more,
    )  # fmt: skip


def _of(parent: str, name: str, size: float, needs: str = "", **more: Any) -> Collection:
    """A collection whose records belong to those of another."""
    return _one(name, size, needs, parent=parent, **more)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_COMPANIES = tuple(f"{name} {end}" for end in ("", "Group", "North") for name in words.COMPANY)
_ORDER_NAMES = ("connectionid", "externalid", "externalcheckoutid", "email", "state", "customerid")

_ALL: Iterable[Collection] = (
    # contacts and what belongs to them
    _one("contacts"),
    _one("fields", filters={"perstag": "perstag"}),
    _one("fieldOptions", path=""),
    _one("fieldRels", path=""),
    _one("fieldValues", parent="contacts", missing=403,
         filters={"fieldid": "field", "val": "value"}),
    _of("contacts", "contactTags", 2, distinct="tag"),
    _of("contacts", "contactLists", 1.5, distinct="list"),
    _of("contacts", "contactAutomations", 0.8, orders=("adddate", "lastdate", "status", "seriesid"),
        filters={"seriesid": "automation", "status": "status", "subscriberid": "contact"}),
    _of("contacts", "accountContacts", 0.3, "accounts", distinct="account",
        filters={"contact": "contact", "account": "account"}),
    _of("contacts", "scoreValues", 0.5, "scoring", path="", distinct="score"),
    _of("contacts", "contactData", 0.5, singular="contactDatum"),
    _of("contacts", "geoIps", 0.3, path=""),
    _of("contacts", "bounceLogs", 0.04),
    _of("contacts", "contactGoals", 0.2),
    _of("contacts", "notes", 0.2, "notes", total="int"),
    _of("contacts", "logs", 1.5),
    _of("contacts", "emailActivities", 1.5, singular="emailActivity",
        orders=("tstamp", "subscriberid"), filters={"subscriberid": "contact"}),
    _of("contacts", "linkData", 0.8, singular="linkDatum"),
    _of("contacts", "mppLinkData", 0.3, singular="mppLinkDatum"),
    _of("contacts", "trackingLogs", 0.5, "site tracking", orders=("tstamp",)),
    _of("contacts", "contactEmails", 0.1),
    _of("contacts", "contactConversions", 0.05, "attribution"),
    _of("contacts", "ecomCustomers", 0.2, "ecommerce",
        filters={"email": "email", "externalid": "externalid", "connectionid": "connection"}),
    _one("activities", singular="activity", orders=("tstamp",)),
    _one("activityRecipients", path=""),
    # deals
    _one("deals", needs="crm", total="int"),
    _one("dealGroups", needs="crm", total="int", orders=("title",)),
    _one("dealStages", needs="crm", total="int", orders=("title",), filters={"d_groupid": "group"}),
    _one("dealActivities", needs="crm", parent="deals", singular="dealActivity", orders=("cdate",),
         filters={"deal": "deal", "data_type": "dataType", "data_id": "dataId"}),
    _of("deals", "contactDeals", 0.3, "crm", distinct="contact"),
    _of("deals", "dealTasks", 0.5, "crm", orders=("cdate", "duedate"),
        filters=_same("title", "reltype", "relid", "status", "note") | {
            "userid": "user", "assignee_userid": "user", "d_tasktypeid": "dealTasktype",
            "outcome_id": "outcomeId"}),
    _of("dealTasks", "taskNotifications", 0.2, "crm"),
    _one("dealCustomFieldMeta", 5, "crm", total="none", singular="dealCustomFieldMetum"),
    _of("deals", "dealCustomFieldData", 3, "crm", total="int", distinct="field",
        singular="dealCustomFieldDatum", filters={"dealId": "deal"}),
    _one("dealRoles", 3, "crm", named=("Decision maker", "Influencer", "Buyer")),
    _one("dealGroupUsers", 6, "crm"),
    _one("dealGroupGroups", 4, "crm"),
    _one("dealTasktypes", 3, "crm", named=("Call", "E-mail", "To-do")),
    _one("taskOutcomes", 4, "crm", filters=_same("sentiment"),
         named=("Reached", "Left a message", "No answer", "Meeting booked")),
    _one("tasktypeOutcomeRels", 4, "crm"),
    # companies
    _one("accounts", 60, "accounts", named=_COMPANIES),
    _one("accountCustomFieldMeta", 4, "accounts", total="none", singular="accountCustomFieldMetum"),
    _of("accounts", "accountCustomFieldData", 2, "accounts", total="none", distinct="field",
        singular="accountCustomFieldDatum", filters={"customerAccountId": "account"}),
    _one("groupDefinitions", 3, path="groupMembers", total="none",
         named=("General details", "Sales", "Support")),
    _of("groupDefinitions", "groupMembers", 3, path="", total="none"),
    # lists, tags, segments, forms
    _one("lists", 6, named=(
        "Newsletter", "Product news", "Customers", "Partners", "Events", "Text messages"),
        orders=("id", "name", "channel", "userid", "created_timestamp", "active_subscribers")),
    _of("lists", "listGroups", 1),
    _one("exclusions", 2, path="lists/exclusions", total="int"),
    _one("tags", 12, orders=("search",), named=(
        "Customer", "Lead", "Trial", "Webinar: spring", "VIP", "At risk", "Partner", "Press",
        "Imported", "Has called", "Do not call", "Beta")),
    _one("segments", 5, named=("Segment of Newsletter", "Active this month", "VIP in Illinois")),
    _one("audiences", 5, "segments v2", array="data", singular="audience"),
    _one("segmentDefinitions", 5, "segments v2", path="", array="data"),
    _of("audiences", "segmentCounts", 60, "segments v2", path="", array="data", key=""),
    _one("forms", 3, named=("Sign up", "Demo request", "Contact us")),
    _one("scores", 2, "scoring", named=("Engagement", "Fit")),
    _one("personalizations", 2, named=("Opening hours", "Signature")),
    _one("geoAddresses", 12, path="", singular="geoAddress"),
    # campaigns, messages
    _one("campaigns", orders=("sdate", "ldate"), filters={"seriesid": "seriesid"}),
    _of("campaigns", "messages", 1),
    _of("campaigns", "campaignMessages", 1),
    _of("campaigns", "campaignLists", 1.2, distinct="list"),
    _of("campaigns", "links", 3, total="none"),
    _one("templates", 3, named=("Plain", "Two columns", "Product news")),
    _one("savedResponses", 2, "saved responses", named=("Thank you", "Call back")),
    _one("siteMessages", 1, "site messages", named=("Welcome back",)),
    _one("sms", 2, "sms", singular="sms"),
    _one("broadcasts", 3, "sms", path="sms/broadcasts", total="int",
         named=("Sale", "Reminder", "Thanks")),
    _one("smsLists", 1, "sms", path="sms/lists", array="lists", total="int",
         named=("Text messages",)),
    _of("broadcasts", "smsRecipients", 8, "sms", path="", array="recipients", key="", total="int"),
    _of("broadcasts", "smsFailures", 1, "sms", path="", array="failures", key="", total="none"),
    # automations
    _one("automations", 6, filters=_same("name", "status"),
         orders=("name", "status", "entered", "cdate", "mdate"),
         named=("Welcome series", "Abandoned cart", "Re-engagement", "Lead nurturing",
                "Birthday", "Renewal")),
    _of("automations", "automationBlocks", 5),
    _of("automations", "automationTriggers", 1, path=""),
    _of("automations", "goals", 0.5),
    # e-commerce and conversions
    _one("connections", 2, "ecommerce", named=("Shop", "Marketplace"),
         filters=_same("service", "externalid")),
    _of("ecomCustomers", "ecomOrders", 2, "ecommerce", filters=_same(*_ORDER_NAMES),
        orders=(*_ORDER_NAMES, "external_created_date")),
    _of("ecomOrders", "ecomOrderProducts", 2, "ecommerce", total="none",
        filters={"orderid": "order"}),
    _of("ecomOrders", "ecomOrderDiscounts", 0.2, "ecommerce", path=""),
    _of("ecomOrders", "ecomOrderActivities", 1, "ecommerce", singular="ecomOrderActivity"),
    _one("conversions", 2, "attribution", named=("Order", "Demo booked")),
    _of("conversions", "conversionTriggers", 1, "attribution"),
    _one("eventTrackingEvents", 4, total="int", key="name",
         named=("login", "upgrade", "export", "invite")),
    _one("siteTrackingDomains", 2, "site tracking", total="int", key="name",
         named=("www.example.com", "shop.example.com")),
    # own objects
    _one("customObjectSchemas", 2, "custom objects", path="customObjects/schemas",
         array="schemas", total="int", named=("subscriptions", "tickets")),
    _of("customObjectSchemas", "customObjectRecords", 12, "custom objects", path="",
        array="records", total="int"),
    # settings
    _one("users"),
    _of("users", "userGroups", 1),
    _one("groups", 3, named=("Admin", "Sales", "Marketing")),
    _of("groups", "groupLimits", 1),
    _one("addresses", 2, singular="address"),
    _one("brandings", 1),
    _one("calendars", 2, named=("Tasks", "Deals")),
    _one("webhooks", 2, named=("CRM mirror", "Slack"), filters=_same("name", "url", "listid")),
)  # fmt: skip

CATALOGUE = {collection.name: collection for collection in _ALL}
BY_PATH = {collection.path: collection for collection in _ALL if collection.path}

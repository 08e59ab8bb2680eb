"""All streams by name, in the order in which they are offered and read."""

from activecampaign_dagster.streams import (
    account,
    activities,
    automations,
    companies,
    contact_details,
    contacts,
    custom_fields,
    custom_objects,
    deal_details,
    deals,
    deliveries,
    ecommerce,
    forms,
    groups,
    lists,
    marketing,
    messages,
    segments,
    settings,
    sms,
    tasks,
    tracking,
)
from activecampaign_dagster.streams.consistency import registry
from activecampaign_dagster.streams.declaration import Stream

_CORE = (
    deals.DEALS,
    contacts.CONTACTS,
    deals.DEAL_GROUPS,
    deals.DEAL_STAGES,
    marketing.CAMPAIGNS,
    contacts.CUSTOM_FIELDS,
    contacts.CUSTOM_FIELD_VALUES,
    account.USERS,
)
_CRM = (
    deal_details.DEAL_ACTIVITIES,
    custom_fields.DEAL_CUSTOM_FIELDS,
    custom_fields.DEAL_CUSTOM_FIELD_VALUES,
    deal_details.CONTACT_DEALS,
    deal_details.DEAL_ROLES,
    deal_details.DEAL_GROUP_USERS,
    deal_details.DEAL_GROUP_GROUPS,
    companies.ACCOUNTS,
    companies.ACCOUNT_CONTACTS,
    custom_fields.ACCOUNT_CUSTOM_FIELDS,
    custom_fields.ACCOUNT_CUSTOM_FIELD_VALUES,
    custom_fields.FIELD_GROUPS,
    custom_fields.FIELD_GROUP_MEMBERS,
    tasks.TASKS,
    tasks.TASK_TYPES,
    tasks.TASK_OUTCOMES,
    tasks.TASK_TYPE_OUTCOME_RELS,
    tasks.TASK_NOTIFICATIONS,
    activities.NOTES,
    activities.CONTACT_EMAILS,
    contact_details.CONTACT_DATA,
    custom_objects.CUSTOM_OBJECT_SCHEMAS,
    custom_objects.CUSTOM_OBJECT_RECORDS,
)
_MARKETING = (
    lists.TAGS,
    contact_details.CONTACT_TAGS,
    lists.LISTS,
    contact_details.CONTACT_LISTS,
    lists.LIST_GROUPS,
    lists.LIST_EXCLUSIONS,
    messages.CAMPAIGN_MESSAGES,
    messages.CAMPAIGN_LINKS,
    messages.CAMPAIGN_LISTS,
    messages.MESSAGES,
    messages.TEMPLATES,
    messages.SAVED_RESPONSES,
    forms.FORMS,
    forms.SCORES,
    contact_details.SCORE_VALUES,
    forms.PERSONALIZATIONS,
    segments.SEGMENTS,
    segments.AUDIENCES,
    segments.SEGMENT_DEFINITIONS,
    segments.SEGMENT_COUNTS,
    sms.SMS_BROADCASTS,
    sms.SMS_LISTS,
    sms.SMS_RECIPIENTS,
    sms.SMS_FAILURES,
)
_AUTOMATION = (
    automations.AUTOMATIONS,
    automations.CONTACT_AUTOMATIONS,
    automations.AUTOMATION_BLOCKS,
    automations.AUTOMATION_TRIGGERS,
    automations.GOALS,
    automations.CONTACT_GOALS,
    automations.SITE_MESSAGES,
    automations.AUTOMATION_SMS,
)
_ECOMMERCE = (
    ecommerce.ECOMMERCE_CONNECTIONS,
    ecommerce.ECOMMERCE_CUSTOMERS,
    ecommerce.ECOMMERCE_ORDERS,
    ecommerce.ECOMMERCE_ORDER_PRODUCTS,
    ecommerce.ECOMMERCE_ORDER_DISCOUNTS,
    ecommerce.ECOMMERCE_ORDER_ACTIVITIES,
)
_EVENTS = (
    activities.ACTIVITIES,
    activities.EMAIL_ACTIVITIES,
    deliveries.SEND_LOGS,
    deliveries.LINK_DATA,
    deliveries.MPP_LINK_DATA,
    contact_details.BOUNCE_LOGS,
    contact_details.GEO_IPS,
    tracking.CONVERSIONS,
    tracking.CONVERSION_TRIGGERS,
    tracking.CONTACT_CONVERSIONS,
    tracking.EVENT_TRACKING_EVENTS,
    tracking.SITE_TRACKING_DOMAINS,
    tracking.TRACKING_LOGS,
)
_SETTINGS = (
    groups.GROUPS,
    groups.USER_GROUPS,
    groups.GROUP_LIMITS,
    settings.ADDRESSES,
    settings.CALENDARS,
    settings.WEBHOOKS,
    settings.BRANDINGS,
)
STREAMS: dict[str, Stream] = registry(
    (*_CORE, *_CRM, *_MARKETING, *_AUTOMATION, *_ECOMMERCE, *_EVENTS, *_SETTINGS)
)
CORE = tuple(stream.name for stream in _CORE)  # what the marts are made of: always a table


def stream(name: str) -> Stream:
    """The stream called `name`; ValueError, naming those there are, if there is none."""
    try:
        return STREAMS[name]
    except KeyError:
        known = ", ".join(STREAMS)
        raise ValueError(f"unknown stream {name!r}; the streams are {known}") from None

"""Contacts, the custom fields that an account defines for them and the values of those fields.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.

A timestamp whose format is "unknown" has only been recorded as NULL or as a row of zeros; the
choice between TIMESTAMP and TIMESTAMPTZ is inferred from its neighbours.
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
    Beside,
    ById,
    ByOffset,
    Changes,
    Endpoint,
    Family,
    Pivot,
    Stream,
)

CONTACTS = Stream(
    name="contacts",
    family=Family.CRM,
    endpoint=Endpoint(path="contacts", collection="contacts"),
    description=(
        "One row per contact of the account, subscribed or not. `_deleted_at` records when a sync "
        "found that the contact was deleted. In recorded responses, adding a tag updates `udate`, "
        "and so does writing a custom field value, with one exception; a subscription to a list "
        "did not. Removals have not been recorded. The API sends most arrays of ids only on "
        "request."
    ),
    walk=ById(order="orders[id]", after="id_greater", before="id_less"),
    changes=Changes(
        stamp="udate",
        created="cdate",
        after="filters[updated_after]",
        before="filters[updated_before]",
    ),
    pivot=Pivot(
        column="customFields",
        child="custom_field_values",
        label_of="field",
        value="value",
        labels="custom_fields",
        label="perstag",
    ),
    fields=(
        bigint("id", "Id of the contact"),
        bigint(
            "account",
            "Id of a company; only ever seen NULL, and not sent since 2020",
            references="accounts",
        ),
        nested(
            "accountContacts",
            "Ids of the contact's links to accounts (companies); NULL if account_contacts is read",
        ),
        instant("adate", "A timestamp of the contact; meaning not documented by the API"),
        bigint("anonymized", "1 if the contact's personal data was anonymised"),
        bigint("best_send_hour", "Hour of the day that is best for sending; zone not documented"),
        wall_clock("bounced_date", "When mail to the contact bounced; reportedly a plain date"),
        bigint("bounced_hard", "Number of hard bounces"),
        bigint("bounced_soft", "Number of soft bounces"),
        instant("cdate", "When the contact was created"),
        nested(
            "contactAutomations",
            "Ids of the contact's entries into automations; NULL if contact_automations is read",
        ),
        nested(
            "contactLists", "Ids of the contact's list memberships; NULL if contact_lists is read"
        ),
        bigint("created_by", "Id of the user who created the contact; NULL or 0 if none"),
        wall_clock("created_timestamp", "Creation, local time of the account; see `cdate`"),
        wall_clock("created_utc_timestamp", "Creation: local time of the account, NOT UTC"),
        nested(
            "customFields",
            "The contact's custom field values, personalisation tag → value; not sent by "
            "the API as such but derived by the sync from `include=fieldValues`",
            personal=True,
        ),
        bigint(
            "customerAccount",
            "Id of a company, sent next to `account`; only ever seen NULL",
            references="accounts",
        ),
        nested("deals", "Ids of the contact's deals"),
        bigint("deleted", "1 if the contact is marked as deleted"),
        wall_clock("deleted_at", "When the contact was deleted; format unknown"),
        instant("edate", "A timestamp of the contact; meaning not documented by the API"),
        text("email", "E-mail address of the contact", personal=True),
        text("emailDomain", "Domain of the e-mail address as spelt by some 2021 responses"),
        text("email_domain", "Domain of the e-mail address; empty in older responses"),
        boolean("email_empty", "True if the contact has no e-mail address"),
        text(
            "email_local",
            "Part of the e-mail address before the at sign; only ever seen empty",
            personal=True,
        ),
        nested(
            "fieldValues", "Ids of the contact's field values; NULL if custom_field_values is read"
        ),
        text("firstName", "First name of the contact", personal=True),
        nested("geoIps", "Ids of the contact's geolocation records; NULL if geo_ips is read"),
        bigint("gravatar", "Gravatar state; the codes are not documented by the API"),
        text("hash", "Opaque hash of the contact; its use is not documented by the API"),
        text(
            "ip", "IP address, 0 if unknown; may be dotted or packed into one number", personal=True
        ),
        text("lastName", "Last name of the contact", personal=True),
        wall_clock("last_click_date", "Last click in a mail, reportedly local time of the account"),
        wall_clock("last_mpp_open_date", "Last open by Apple's privacy proxy; format unknown"),
        wall_clock("last_open_date", "Last open of a mail, reportedly local time of the account"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("mpp_tracking", "Flag for Apple Mail Privacy Protection (opens by machine)"),
        bigint("organization", "Id of the organization; NULL or empty if there is none"),
        bigint("orgid", "Id of the organization; 0 or empty if there is none"),
        text("orgname", "Name of the organization; empty if there is none"),
        text("phone", "Telephone number as entered", personal=True),
        wall_clock("rating_tstamp", "When the contact was last rated; reportedly a plain date"),
        nested("scoreValues", "Ids of the contact's score values; NULL if score_values is read"),
        text(
            "segmentio_id", "Id of the contact at Segment.io; only ever seen empty", personal=True
        ),
        bigint("sentcnt", "Number of mails sent to the contact"),
        text("sentiment", "Only ever seen NULL; meaning not documented by the API"),
        bigint("sms_consent", "Consent to text messages; the codes are not documented by the API"),
        wall_clock("sms_consent_updated_at", "Change of `sms_consent`; format unknown"),
        wall_clock("socialdata_lastcheck", "Last check of social data; format unknown"),
        text("ua", "User agent of the contact; mostly NULL", personal=True),
        instant("udate", "When the contact was last updated: the replication key"),
        bigint("updated_by", "Id of the user who last updated the contact; NULL or 0 if none"),
        wall_clock("updated_timestamp", "Last update, local time of the account; see `udate`"),
        wall_clock("updated_utc_timestamp", "Last update: local time of the account, NOT UTC"),
        text("whatsapp_id", "WhatsApp id of the contact; only ever seen NULL", personal=True),
        text(
            "whatsapp_username",
            "WhatsApp user name of the contact; only ever seen NULL",
            personal=True,
        ),
    ),
)

CUSTOM_FIELDS = Stream(
    name="custom_fields",
    family=Family.CRM,
    endpoint=Endpoint(path="fields", collection="fields"),
    description=(
        "One row per custom field that the account defines for contacts, with its choices in "
        "`options` and its list relations in `relations`. The table mirrors the account's current"
        " state: a deleted field is removed by the next sync. Custom fields of deals and accounts"
        " are other collections of the API."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the custom field"),
        instant("cdate", "When the field was created"),
        bigint("cols", "Width of a textarea in columns; no longer used by ActiveCampaign"),
        bigint("created_by", "Id of the user who created the field; NULL or 0 if none"),
        wall_clock("created_timestamp", "Creation, local time of the account; see `cdate`"),
        text("defval", "Default value of the field"),
        text("descript", "Description of the field"),
        bigint("isrequired", "1 if the field must be filled in"),
        nested("links", "URLs of related resources, keyed by resource name"),
        nested(
            "options",
            "The option records themselves (`label`, `value`, `orderid`, `isdefault`, …), "
            "which the API sends beside the fields and the sync puts in place of their ids",
            nested_from="fieldOptions",
        ),
        bigint("ordernum", "Position of the field among the account's fields"),
        text("perstag", "Personalisation tag, e.g. FAVOURITE_COLOUR: names the field in messages"),
        nested(
            "relations",
            "The relation records themselves (`relid`, `dorder`, …), which tie the field to lists: "
            "which the API sends beside the fields and the sync puts in place of their ids",
            nested_from="fieldRels",
        ),
        bigint("rows", "Height of a textarea in rows; no longer used by ActiveCampaign"),
        text("service", "Integration that the field came from, e.g. shopify; empty if none"),
        bigint("show_in_list", "1 if shown in the contact list; no longer used by ActiveCampaign"),
        text("title", "Name of the field as people see it"),
        text("type", "Kind of field: text, textarea, date, dropdown, listbox, radio, checkbox, …"),
        instant("udate", "When the field was last updated"),
        bigint("updated_by", "Id of the user who last updated the field; NULL or 0 if none"),
        wall_clock("updated_timestamp", "Last update, local time of the account; see `udate`"),
        bigint("visible", "1 if the field is shown in the form builder"),
    ),
)

CUSTOM_FIELD_VALUES = Stream(
    name="custom_field_values",
    family=Family.CRM,
    endpoint=Endpoint(path="fieldValues", collection="fieldValues"),
    description=(
        "One row per contact and custom field that has a value. The collection has no date "
        "filter: values are read with the contacts that changed (`include=fieldValues`), and a "
        "full sync reads all and sets `_deleted_at` on removed ones. In all recorded responses "
        "but one, writing a value updates the contact's `udate`."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="udate", created="cdate"),
    beside=Beside(
        parent="contacts",
        include="fieldValues",
        array="fieldValues",
        owner="contact",
        listed="fieldValues",
    ),
    fields=(
        bigint("id", "Id of the field value"),
        instant("cdate", "When the value was first set"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        bigint("created_by", "Id of the user who set the value; NULL or 0 if none"),
        bigint("field", "Id of the custom field (`custom_fields.id`)", references="custom_fields"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("owner", "Id of the contact again: the same as `contact`"),
        instant("udate", "When the value was last changed: the replication key"),
        bigint("updated_by", "Id of the user who last changed the value; NULL or 0 if none"),
        text(
            "value",
            "The value as text; several choices are reported as one text joined by ||",
            personal=True,
        ),
    ),
)

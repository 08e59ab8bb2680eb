"""Companies, which the API calls accounts, and the contacts who belong to them.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.
"""

from activecampaign_dagster.streams.columns import KINDS, bigint, instant, nested, text
from activecampaign_dagster.streams.custom_fields import ACCOUNTS_FEATURE
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Changes,
    Endpoint,
    Family,
    Pivot,
    Stream,
)

ACCOUNTS = Stream(
    name="accounts",
    family=Family.CRM,
    # without the parameter, the numbers of contacts and deals are always 0
    endpoint=Endpoint(path="accounts", collection="accounts", params={"count_deals": "true"}),
    description=(
        "One row per company, which ActiveCampaign calls an account, with its owner and its "
        "numbers of contacts and deals. The table mirrors the account's current state: a deleted "
        "company is removed by the next sync."
    ),
    walk=ByOffset(),
    pivot=Pivot(
        column="customFields",
        child="account_custom_field_values",
        label_of="customFieldId",
        value="fieldValue",
        labels="account_custom_fields",
        label="fieldLabel",
        kind="fieldType",
        kinds=KINDS,
        currency="custom_field_currency_type",
    ),
    missing=ACCOUNTS_FEATURE,
    fields=(
        bigint("id", "Id of the company"),
        text("accountUrl", "Website of the company; NULL or empty if none"),
        bigint("contactCount", "Number of contacts of the company; not in every response"),
        instant("createdTimestamp", "When the company was created"),
        nested(
            "customFields",
            "The company's custom field values, label → value; not sent by the API as such but "
            "derived by the sync from `include=accountCustomFieldData`",
        ),
        bigint("dealCount", "Number of deals of the company; not in every response"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("name", "Name of the company"),
        bigint("owner", "Id of the user who owns the company (`users.id`)", references="users"),
        instant("updatedTimestamp", "When the company was last updated"),
    ),
)

ACCOUNT_CONTACTS = Stream(
    name="account_contacts",
    family=Family.CRM,
    endpoint=Endpoint(path="accountContacts", collection="accountContacts"),
    description=(
        "One row per contact and company that the contact belongs to, with the job title. The "
        "rows are read with the pages of contacts. ActiveCampaign does not document whether "
        "joining a company updates the contact's `udate`, so all contacts are re-read once a day."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="updatedTimestamp", created="createdTimestamp"),
    beside=Beside(
        parent="contacts",
        include="accountContacts",
        array="accountContacts",
        owner="contact",
        listed="accountContacts",
    ),
    missing=ACCOUNTS_FEATURE,
    fields=(
        bigint("id", "Id of the link between contact and company"),
        bigint("account", "Id of the company (`accounts.id`)", references="accounts"),
        bigint("contact", "Id of the contact (`contacts.id`)", references="contacts"),
        instant("createdTimestamp", "When the contact was linked to the company"),
        text("jobTitle", "Job title of the contact at the company", personal=True),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("updatedTimestamp", "When the link was last changed: the replication key"),
    ),
)

"""Custom fields of deals and companies with their values, and the groups that fields are shown in.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses. Beside the pages of
deals and companies, values come in another form than at their own path: one field per kind of
value. It becomes the form of the path, whichever of the two is sent there.

Stamps of deals' fields were recorded with an offset and are documented without one; those of
companies' fields are only documented.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text, wall_clock
from activecampaign_dagster.streams.deal_details import DEALS_FEATURE
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Changes,
    Endpoint,
    Family,
    Missing,
    Shape,
    Stream,
)

ACCOUNTS_FEATURE = Missing(statuses=frozenset({403, 404}), says="the Accounts (companies) feature")

_STAMPS = ("createdTimestamp", "updatedTimestamp")
_RENAMES = {
    "custom_field_id": "customFieldId",
    "created_timestamp": "createdTimestamp",
    "updated_timestamp": "updatedTimestamp",
}
_VALUE = {
    "fieldValue": (
        "custom_field_text_value",
        "custom_field_text_blob",
        "custom_field_date_value",
        "custom_field_datetime_value",
        "custom_field_number_value",
        "custom_field_currency_value",
    )
}

DEAL_CUSTOM_FIELDS = Stream(
    name="deal_custom_fields",
    family=Family.CRM,
    endpoint=Endpoint(
        path="dealCustomFieldMeta",
        collection="dealCustomFieldMeta",
        shape=Shape(local=_STAMPS),
    ),
    description=(
        "One row per custom field that the account defines for deals, with its choices in "
        "`fieldOptions`. The table mirrors the account's current state: a deleted field is "
        "removed by the next sync. Values are in `deal_custom_field_values` and, by label, in "
        "`deals.customFields`."
    ),
    walk=ByOffset(),
    missing=DEALS_FEATURE,
    fields=(
        bigint("id", "Id of the custom field"),
        bigint("createdBy", "Id of the user who created the field; format unknown"),
        instant("createdTimestamp", "When the field was created"),
        bigint("displayOrder", "Position of the field among the account's fields of deals"),
        text("fieldDefault", "Default value of the field, a text or a number; NULL if none"),
        text("fieldDefaultCurrency", "Currency of the default value; only ever seen NULL"),
        text("fieldLabel", "Name of the field as people see it"),
        nested("fieldOptions", "Choices of the field; NULL if it offers none"),
        text("fieldType", "Kind of field: text, textarea, date, dropdown, currency, number, …"),
        bigint("hideFieldFlag", "1 if the field is hidden"),
        bigint("isFormVisible", "1 if the field is shown in forms"),
        bigint("isRequired", "1 if the field must be filled in"),
        bigint("knownFieldId", "Id of a field known to ActiveCampaign; not documented by the API"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("personalization", "Personalisation tag: names the field in messages; may be empty"),
        bigint("updatedBy", "Id of the user who last updated the field; format unknown"),
        instant("updatedTimestamp", "When the field was last updated"),
    ),
)

_DEAL_VALUES = Shape(renames=_RENAMES | {"deal_id": "dealId"}, first_filled=_VALUE, local=_STAMPS)

DEAL_CUSTOM_FIELD_VALUES = Stream(
    name="deal_custom_field_values",
    family=Family.CRM,
    endpoint=Endpoint(
        path="dealCustomFieldData", collection="dealCustomFieldData", shape=_DEAL_VALUES
    ),
    description=(
        "One row per deal and custom field that has a value; the value may be empty. The rows are "
        "read with the pages of deals. There the API leaves out `dealCustomFieldMetumId` and "
        "`links`, and sends a currency, which it does not elsewhere. ActiveCampaign does not "
        "document whether a changed value updates the deal's `mdate`, so all deals are re-read "
        "once a day."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="updatedTimestamp", created="createdTimestamp"),
    beside=Beside(
        parent="deals",
        include="dealCustomFieldData",
        array="dealCustomFieldData",
        owner="dealId",
        listed="dealCustomFieldData",
        shape=_DEAL_VALUES,
    ),
    missing=DEALS_FEATURE,
    fields=(
        bigint("id", "Id of the field value"),
        instant("createdTimestamp", "When the value was first set"),
        bigint(
            "customFieldId",
            "Id of the custom field (`deal_custom_fields.id`)",
            references="deal_custom_fields",
        ),
        text("custom_field_currency_type", "Currency of a money value, if the API sends it"),
        bigint(
            "dealCustomFieldMetumId",
            "Id of the custom field again; see `customFieldId`",
            references="deal_custom_fields",
        ),
        bigint("dealId", "Id of the deal (`deals.id`)", references="deals"),
        text("fieldValue", "The value as text, money in cents, arrays and objects as JSON"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("updatedTimestamp", "When the value was last changed: the replication key"),
    ),
)

ACCOUNT_CUSTOM_FIELDS = Stream(
    name="account_custom_fields",
    family=Family.CRM,
    endpoint=Endpoint(path="accountCustomFieldMeta", collection="accountCustomFieldMeta"),
    description=(
        "One row per custom field that the account defines for companies, with its choices in "
        "`fieldOptions`. The table mirrors the account's current state: a deleted field is "
        "removed by the next sync. Values are in `account_custom_field_values` and, by label, in "
        "`accounts.customFields`."
    ),
    walk=ByOffset(),
    missing=ACCOUNTS_FEATURE,
    fields=(
        bigint("id", "Id of the custom field"),
        wall_clock(
            "createdTimestamp", "When the field was created, without an offset; zone not documented"
        ),
        bigint("displayOrder", "Position of the field among the account's fields of companies"),
        text("fieldDefault", "Default value of the field, e.g. a number"),
        text("fieldDefaultCurrency", "Currency of the default value; only ever seen NULL"),
        text("fieldLabel", "Name of the field as people see it"),
        nested("fieldOptions", "Choices of the field; NULL if it offers none"),
        text("fieldType", "Kind of field: text, textarea, date, dropdown, currency, number, …"),
        bigint("hideFieldFlag", "1 if the field is hidden"),
        bigint("isFormVisible", "1 if the field is shown in forms"),
        bigint("isRequired", "1 if the field must be filled in"),
        bigint("knownFieldId", "Id of a field known to ActiveCampaign; only ever seen NULL"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("personalization", "Personalisation tag of the field; only ever seen empty"),
        wall_clock("updatedTimestamp", "When the field was last updated, without an offset"),
    ),
)

_ACCOUNT_VALUES = Shape(
    renames=_RENAMES | {"customer_account_id": "accountId"}, first_filled=_VALUE
)

ACCOUNT_CUSTOM_FIELD_VALUES = Stream(
    name="account_custom_field_values",
    family=Family.CRM,
    endpoint=Endpoint(
        path="accountCustomFieldData",
        collection="accountCustomFieldData",
        shape=_ACCOUNT_VALUES,
    ),
    description=(
        "One row per company and custom field that has a value; the value may be empty. The rows "
        "are read with the pages of companies. There the API leaves out "
        "`accountCustomFieldMetumId` and `links`, and sends a currency, which it does not "
        "elsewhere. The table mirrors the account's current state."
    ),
    walk=ByOffset(),
    beside=Beside(
        parent="accounts",
        include="accountCustomFieldData",
        array="customerAccountCustomFieldData",
        owner="accountId",
        shape=_ACCOUNT_VALUES,
    ),
    missing=ACCOUNTS_FEATURE,
    fields=(
        bigint("id", "Id of the field value"),
        bigint(
            "accountCustomFieldMetumId",
            "Id of the custom field again; see `customFieldId`",
            references="account_custom_fields",
        ),
        bigint("accountId", "Id of the company (`accounts.id`)", references="accounts"),
        wall_clock(
            "createdTimestamp",
            "When the value was first set, without an offset; zone not documented",
        ),
        bigint(
            "customFieldId",
            "Id of the custom field (`account_custom_fields.id`)",
            references="account_custom_fields",
        ),
        text("custom_field_currency_type", "Currency of a money value, if the API sends it"),
        text("fieldValue", "The value as text, money in cents, arrays and objects as JSON"),
        nested("links", "URLs of related resources, keyed by resource name"),
        wall_clock("updatedTimestamp", "When the value was last changed, without an offset"),
    ),
)

FIELD_GROUPS = Stream(
    name="field_groups",
    family=Family.CRM,
    endpoint=Endpoint(path="groupMembers", collection="groupDefinitions"),
    description=(
        "One row per group under which custom fields are shown, such as general details. "
        "`field_group_members` lists its fields. The table mirrors the account's current state: a "
        "deleted group is removed by the next sync."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the group of fields"),
        bigint("created_by", "Id of the user who created the group; mostly left out"),
        text("label", "Name of the group as people see it"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("ordernum", "Position of the group"),
        bigint("type_id", "Kind of group; the codes are not documented by the API"),
        bigint("updated_by", "Id of the user who last updated the group; mostly left out"),
    ),
)

FIELD_GROUP_MEMBERS = Stream(
    name="field_group_members",
    family=Family.CRM,
    endpoint=Endpoint(path="groupMembers", collection="groupMembers"),
    description=(
        "One row per custom field that is in a group of fields. The API does not document whether"
        " fields of deals and companies are among them. The table mirrors the account's current "
        "state."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the membership"),
        bigint("created_by", "Id of the user who put the field there; may be left out"),
        bigint(
            "group_id", "Id of the group of fields (`field_groups.id`)", references="field_groups"
        ),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("ordernum", "Position of the field within the group"),
        bigint("rel_id", "Id of the custom field, for contacts `custom_fields.id`"),
        bigint("updated_by", "Id of the user who last changed the membership; may be left out"),
    ),
)

"""Settings of the account: its postal addresses, its look, its calendar feeds and its webhooks.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.

A timestamp whose format is "unknown" has not been recorded with a value; the choice between
TIMESTAMP and TIMESTAMPTZ is inferred from its neighbours.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text, wall_clock
from activecampaign_dagster.streams.declaration import ByOffset, Endpoint, Family, Stream

ADDRESSES = Stream(
    name="addresses",
    family=Family.SETTINGS,
    endpoint=Endpoint(path="addresses", collection="addresses"),
    description=(
        "One row per postal address of the account itself, as shown below its mails. The table "
        "mirrors the account's current state; campaigns and forms name an address by its id."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the address"),
        text("address1", "First line of the address"),
        text("address2", "Second line of the address; only ever seen empty"),
        bigint("allgroup", "1 if all groups of users may use the address, judging by the name"),
        text("city", "Town or city"),
        text("companyName", "Name of the company"),
        text("country", "Country as a name or a code"),
        bigint("created_by", "Id of the user who created the address; NULL or 0 if none"),
        wall_clock("created_timestamp", "Creation, local time of the account"),
        text("district", "District; only ever seen empty"),
        bigint("isDefault", "1 for the account's default address"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("smsName", "Name for text messages, judging by the name"),
        text("state", "State or province"),
        bigint("updated_by", "Id of the user who last updated the address; NULL or 0 if none"),
        wall_clock("updated_timestamp", "Last update, local time of the account"),
        text("zip", "Postal code"),
    ),
)

BRANDINGS = Stream(
    name="brandings",
    family=Family.SETTINGS,
    endpoint=Endpoint(path="brandings", collection="brandings"),
    description=(
        "One row per branding, the look of the account for a group of users: name, logos, "
        "footers, templates. Off by default: the rows are whole pages of HTML and CSS, which are "
        "rarely useful in reports."
    ),
    walk=ByOffset(),
    default=False,
    fields=(
        bigint("id", "Id of the look"),
        text("adminTemplateCss", "CSS of the pages for users; may be empty"),
        text("adminTemplateHtm", "HTML of the pages for users; may be empty"),
        text("admin_template_css_backup", "A backup of `adminTemplateCss`, judging by the name"),
        text("admin_template_htm_backup", "A backup of `adminTemplateHtm`, judging by the name"),
        bigint("copyright", "1 if a copyright notice is shown, judging by the name"),
        wall_clock("created_timestamp", "Creation; format unknown"),
        text("favicon", "Icon of the pages; only ever seen NULL"),
        text("footerHtmlValue", "Footer of HTML mails"),
        text("footerTextValue", "Footer of text mails"),
        bigint("groupid", "Id of the group of users (`groups.id`)", references="groups"),
        text("headerHtmlValue", "Header of HTML mails"),
        text("headerTextValue", "Header of text mails"),
        bigint("help", "1 if help is shown, judging by the name"),
        bigint("license", "Apparently a 0/1 flag; meaning not documented by the API"),
        nested("links", "A number in the docs; URLs of related resources elsewhere in the API"),
        text("publicTemplateCss", "CSS of the pages for contacts; may be empty"),
        text("publicTemplateHtm", "HTML of the pages for contacts; may be empty"),
        text("siteLogo", "Address of the logo"),
        text("siteLogoSmall", "Address of the small logo"),
        text("siteName", "Name of the account as shown"),
        wall_clock("updated_timestamp", "Last update; format unknown"),
        bigint("version", "A version number; its meaning is not documented by the API"),
        text("zendeskWidgetEnabled", "Whether a widget of Zendesk is on; format unknown"),
    ),
)

CALENDARS = Stream(
    name="calendars",
    family=Family.SETTINGS,
    endpoint=Endpoint(path="calendars", collection="calendars"),
    description=(
        "One row per calendar feed that users subscribe to, such as one of their tasks. The table"
        " mirrors the account's current state. `token` opens a feed to everyone who has it: it is"
        " not stored unless `fields` lists it."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the calendar feed"),
        instant("cdate", "When the feed was created"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("mdate", "When the feed was last modified"),
        bigint("notification", "A setting for reminders; values not documented by the API"),
        text("title", "Name of the feed"),
        text("token", "Secret that opens the feed", secret=True),
        text("type", "Contents of the feed, e.g. tasks"),
        bigint("userid", "Id of the user (`users.id`)", references="users"),
    ),
)

WEBHOOKS = Stream(
    name="webhooks",
    family=Family.SETTINGS,
    endpoint=Endpoint(path="webhooks", collection="webhooks"),
    description=(
        "One row per webhook: which events the account sends to another system. The table mirrors "
        "the account's current state. `url` may contain passwords or keys: it is not stored "
        "unless `fields` lists it."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the webhook"),
        instant("cdate", "When the webhook was created"),
        text("deactivated_date", "When the webhook was deactivated; format unknown"),
        nested("events", "Names of the events that are sent"),
        nested("links", "URLs of related resources; an array here"),
        bigint("listid", "Id of the list (`lists.id`), 0 for all lists", references="lists"),
        text("name", "Name of the webhook"),
        nested("sources", "Who triggers an event: public, admin, api, system"),
        text("state", "State of the webhook; values not documented by the API"),
        text("url", "Where the events are sent, including any secret in the address", secret=True),
    ),
)

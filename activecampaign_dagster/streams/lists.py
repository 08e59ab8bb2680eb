"""Lists that contacts subscribe to, with their permissions and exclusions, and tags.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.

A timestamp whose format is "unknown" has only been recorded as NULL; the choice between TIMESTAMP
and TIMESTAMPTZ is inferred from its neighbours.
"""

from activecampaign_dagster.streams.columns import (
    bigint,
    boolean,
    instant,
    nested,
    text,
    wall_clock,
)
from activecampaign_dagster.streams.declaration import ByOffset, Endpoint, Family, Stream

LISTS = Stream(
    name="lists",
    family=Family.MARKETING,
    # without the parameter, lists for text messages are reportedly left out
    endpoint=Endpoint(path="lists", collection="lists", params={"filters[channel]": "all"}),
    description=(
        "One row per list that contacts can subscribe to, for e-mail or text messages, with its "
        "settings and numbers of subscribers. The table mirrors the account's current state: a "
        "deleted list is removed by the next sync. Only lists that the API key's user may see are"
        " included; `contact_lists` holds the members."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the list"),
        bigint("active_subscribers", "Number of active subscribers; not in older responses"),
        text("analytics_domains", "Google Analytics: domains whose links are tagged"),
        text("analytics_source", "Google Analytics: source that links are tagged with"),
        text("analytics_ua", "Google Analytics: id of the property"),
        text("carboncopy", "Addresses that get a copy of each mail; or empty", personal=True),
        instant("cdate", "When the list was created"),
        text("channel", "Channel of the list: email or sms; absent in older responses"),
        bigint("created_by", "Id of the user who created the list; mostly NULL"),
        wall_clock("created_timestamp", "Creation, local time of the account; see `cdate`"),
        instant("deletestamp", "When the list was deleted; format unknown"),
        text("description", "Description of the list; only ever seen empty"),
        text("facebook_session", "Session at Facebook, which is a credential", secret=True),
        text("fulladdress", "Postal address of the sender in one text; or empty"),
        bigint("get_unsubscribe_reason", "1 if contacts are asked why they unsubscribe"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("name", "Name of the list"),
        bigint("non_deleted_subscribers", "Number of subscribers who are not marked as deleted"),
        bigint(
            "optinmessageid",
            "Id of the message that asks to confirm a subscription; 0 if none",
            references="messages",
        ),
        bigint("optinoptout", "Id of the opt-in and opt-out setting"),
        bigint("optoutconf", "Judging by its name, 1 if unsubscribing has to be confirmed"),
        bigint("p_embed_image", "1 if images may be embedded in mails"),
        bigint("p_use_analytics_link", "1 if links are tagged for Google Analytics"),
        bigint("p_use_analytics_read", "1 if opens are tracked with Google Analytics"),
        bigint("p_use_captcha", "1 if a captcha guards subscribing"),
        bigint("p_use_facebook", "1 if Facebook is used for the list"),
        bigint("p_use_tracking", "1 if opens and clicks are tracked"),
        bigint("p_use_twitter", "1 if Twitter is used for the list"),
        bigint("private", "1 if the list is not shown to the public"),
        bigint("require_name", "1 if contacts must give a name to subscribe"),
        bigint("send_last_broadcast", "1 if new subscribers get the last campaign of the list"),
        text("sender_addr1", "First line of the sender's postal address; only ever seen empty"),
        text("sender_addr2", "Second line of the sender's postal address; only ever seen empty"),
        text("sender_city", "City of the sender; only ever seen empty"),
        text("sender_country", "Country of the sender; only ever seen empty"),
        text("sender_name", "Name of the sender; only ever seen empty", personal=True),
        text("sender_phone", "Telephone of the sender; only ever seen empty", personal=True),
        text("sender_reminder", "Reminder to subscribers of why they get mails"),
        text("sender_state", "State or province of the sender; only ever seen empty"),
        text("sender_url", "Website that the list is for"),
        text("sender_zip", "Postal code of the sender; only ever seen empty"),
        text("stringid", "Name of the list as used in URLs"),
        text("subscription_notify", "Addresses notified of subscriptions; or empty", personal=True),
        text("to_name", "Name with which mails address a contact who has none, e.g. Recipient"),
        text("twitter_token", "Token for Twitter, which is a credential", secret=True),
        text("twitter_token_secret", "Secret for Twitter, which is a credential", secret=True),
        instant("udate", "When the list was last updated; NULL if never"),
        text("unsubscription_notify", "Addresses notified when a contact leaves", personal=True),
        bigint("updated_by", "Id of the user who last updated the list; mostly NULL"),
        wall_clock("updated_timestamp", "Last update, local time of the account; see `udate`"),
        bigint("user", "Id of the user who owns the list (`users.id`)", references="users"),
        bigint("userid", "Id of the user again; see `user`", references="users"),
    ),
)

LIST_GROUPS = Stream(
    name="list_groups",
    family=Family.MARKETING,
    endpoint=Endpoint(path="listGroups", collection="listGroups"),
    description=(
        "One row per list and user group that may work with it, with a flag for each permission. "
        "The table mirrors the account's current state: a withdrawn permission is removed by the "
        "next sync. The API does not document the flags: descriptions follow their names."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the permission"),
        bigint("group", "Id of the user group (`groups.id`)", references="groups"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("list", "Id of the list (`lists.id`)", references="lists"),
        bigint("p_list_add", "1 if the group may add lists"),
        bigint("p_list_delete", "1 if the group may delete the list"),
        bigint("p_list_edit", "1 if the group may edit the list"),
        bigint("p_list_filter", "1 if the group may filter the list"),
        bigint("p_list_sync", "1 if the group may synchronise the list"),
        bigint("p_message_add", "1 if the group may add messages"),
        bigint("p_message_delete", "1 if the group may delete messages"),
        bigint("p_message_edit", "1 if the group may edit messages"),
        bigint("p_message_send", "1 if the group may send messages"),
        bigint("p_subscriber_add", "1 if the group may add subscribers"),
        bigint("p_subscriber_approve", "1 if the group may approve subscribers"),
        bigint("p_subscriber_delete", "1 if the group may delete subscribers"),
        bigint("p_subscriber_edit", "1 if the group may edit subscribers"),
        bigint("p_subscriber_import", "1 if the group may import subscribers"),
    ),
)

LIST_EXCLUSIONS = Stream(
    name="list_exclusions",
    family=Family.MARKETING,
    endpoint=Endpoint(path="lists/exclusions", collection="exclusions"),
    description=(
        "One row per pattern of addresses that lists do not accept. Off by default: patterns are "
        "mostly addresses of persons who do not want any mail. The table mirrors the account's "
        "current state."
    ),
    default=False,
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the exclusion"),
        text("channel", "Channel that the exclusion is for"),
        boolean("hidden", "True if the exclusion is hidden in the application"),
        nested("lists", "Ids of the lists that the exclusion applies to (`lists.id`)"),
        text("matchPhrase", "Address, or part of one, that is excluded", personal=True),
        text("matchType", "How the phrase is compared with addresses"),
    ),
)

TAGS = Stream(
    name="tags",
    family=Family.MARKETING,
    endpoint=Endpoint(path="tags", collection="tags"),
    description=(
        "One row per tag of the account, for contacts or for templates (`tagType`). The table "
        "mirrors the account's current state: a deleted tag is removed by the next sync. "
        "`contact_tags` lists the contacts that have it."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the tag"),
        instant("cdate", "When the tag was created"),
        bigint("created_by", "Id of the user who created the tag; only ever seen NULL"),
        wall_clock("created_timestamp", "Creation, local time of the account; see `cdate`"),
        bigint("deleted", "1 if the tag is marked as deleted; not in older responses"),
        text("description", "Description of the tag; may be empty"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("subscriber_count", "Number of contacts with the tag"),
        text("tag", "Name of the tag"),
        text("tagType", "What the tag is for: contact or template"),
        bigint("updated_by", "Id of the user who last updated the tag; only ever seen NULL"),
        wall_clock("updated_timestamp", "Last update, local time of the account"),
    ),
)

"""The people who work in the account.

Fields and types follow the ActiveCampaign API v3 docs and recorded responses.

A timestamp whose format is "unknown" has only been recorded as NULL or as a row of zeros; the
choice between TIMESTAMP and TIMESTAMPTZ is inferred from its neighbours.
"""

from activecampaign_dagster.streams.columns import bigint, instant, nested, text, wall_clock
from activecampaign_dagster.streams.declaration import ByOffset, Endpoint, Family, Stream

USERS = Stream(
    name="users",
    family=Family.SETTINGS,
    endpoint=Endpoint(path="users", collection="users"),
    description=(
        "One row per user who can log in to the account; deals refer to them as owners. The table"
        " mirrors the account's current state: a removed user is removed by the next sync, so "
        "that an old deal's owner may have no row here."
    ),
    walk=ByOffset(),
    fields=(
        bigint("id", "Id of the user"),
        instant("cdate", "When the user was created; NULL for an account's first user"),
        text("email", "E-mail address of the user", personal=True),
        text("firstName", "First name of the user", personal=True),
        text("lang", "Language of the user; not in older responses"),
        text("lastName", "Last name of the user", personal=True),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("localZoneid", "Time zone chosen by the user, e.g. Europe/Berlin"),
        bigint("mfaEnabled", "1 if multi-factor authentication is on"),
        wall_clock("password_updated_utc_timestamp", "Change of password; format unknown"),
        text("phone", "Telephone number of the user; only ever seen empty", personal=True),
        text("roles", "Roles of the user; only ever seen NULL, not in older responses"),
        text("signature", "Signature of the user; only ever seen empty", personal=True),
        instant("udate", "When the user was last updated; NULL if never"),
        text("username", "Login name of the user", personal=True),
    ),
)

"""The account's address: what users paste, made into the API's base URL."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from activecampaign_dagster.api.errors import AddressError, CredentialsError
from activecampaign_dagster.api.pasted import clean, problem

_HINT = (
    "Copy the URL from ActiveCampaign under Settings → Developer, "
    "for example https://youraccount.api-us1.com"
)
_LENGTH_OF_A_KEY = 32  # at least: a part of a host as long may be one


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself."""
    host = host.lower().removesuffix(".")
    if host == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def base_url(url: str | None) -> str:
    """The API's base, ending in `/api/3`, for any way that users write an account's URL.

    Accepts the host with or without scheme, `/api/3` and trailing slashes, and whatever
    `pasted.clean` takes off.
    Raises AddressError for anything that cannot be an account's address; http is accepted on
    loopback only, since the key would travel in the clear. No message shows more of `url` than its
    host: what was pasted may hold the key, or be the key.
    """
    text = clean(url or "")
    if not text:
        raise AddressError(f"No ActiveCampaign URL is set. {_HINT}.")
    if wrong := problem(text):
        raise AddressError(f"The ActiveCampaign URL {wrong}. {_HINT}.")
    if "://" not in text:
        text = f"https://{text}"
    what = "The ActiveCampaign URL"
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise AddressError(f"{what} is not a URL. {_HINT}.") from None
    if parts.username or parts.password:
        raise AddressError(f"{what} must not contain a user or password. {_HINT}.")
    if "." in host and max(map(len, host.split("."))) < _LENGTH_OF_A_KEY:
        what += f" ({host})"
    if parts.scheme not in ("http", "https"):
        raise AddressError(f"{what} is not an http(s) URL. {_HINT}.")
    if not (is_loopback(host) or re.fullmatch(r"(?:[a-z0-9-]{1,63}\.)+[a-z]{2,63}", host)):
        raise AddressError(f"{what} is not an ActiveCampaign host. {_HINT}.")
    if parts.query or parts.fragment or not re.fullmatch(r"(/api(/3)?)?/*", parts.path):
        raise AddressError(f"{what} is not the address of an account. {_HINT}.")
    if parts.scheme == "http" and not is_loopback(host):
        raise AddressError(f"{what} would send the API key unencrypted: use https. {_HINT}.")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}/api/3"


def account_label(base_url: str) -> str:
    """What tells the account at an API's base from others, whatever scheme and port.

    ActiveCampaign serves an account as `<account>.activehosted.com` and as `<account>.api-us1.com`
    (or another region's): that is its name. Of any other address it is the host.
    """
    host = urlsplit(base_url).hostname or ""
    named = re.fullmatch(r"([a-z0-9-]+)\.(activehosted|api-[a-z0-9]+)\.com", host)
    return named[1] if named else host


def api_key(key: str | None) -> str:
    """The key, cleaned. Raises CredentialsError if there is none or it cannot be one.

    No message shows any of it.
    """
    text = clean(key or "")
    if not text:
        raise CredentialsError(
            "No ActiveCampaign API key is set. Copy it from ActiveCampaign under "
            "Settings → Developer and set ACTIVECAMPAIGN_API_KEY."
        )
    wrong = problem(text)
    if "://" in text or re.search(r"\.(activehosted|api-[a-z0-9]+)\.com", text, re.IGNORECASE):
        wrong = "is a URL; URL and key may be swapped"
    elif not wrong and not text.isascii():
        wrong = "contains characters that API keys do not have"
    if wrong:
        raise CredentialsError(
            f"The ActiveCampaign API key {wrong}. Copy it again from Settings → Developer."
        )
    return text

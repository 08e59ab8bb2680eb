"""What users paste as the URL and the key, and what is made of it."""

from __future__ import annotations

import traceback

import pytest

from activecampaign_dagster.api.address import account_label, api_key, base_url, is_loopback
from activecampaign_dagster.api.errors import AddressError, CredentialsError


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.api-us1.com",
        "https://acme.api-us1.com/",
        "https://acme.api-us1.com/api",
        "https://acme.api-us1.com/api/3",
        "https://acme.api-us1.com/api/3/",
        "acme.api-us1.com/api/3//",
        "  acme.api-us1.com\n",
        "HTTPS://ACME.api-us1.com",
    ],
)
def test_an_address_is_understood_in_every_way_it_is_written(url: str) -> None:
    assert base_url(url) == "https://acme.api-us1.com/api/3"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://acme.activehosted.com:8443", "https://acme.activehosted.com:8443/api/3"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765/api/3"),
        ("http://localhost:8765/api/3", "http://localhost:8765/api/3"),
        ("http://LOCALHOST.:8765", "http://localhost:8765/api/3"),
        ("https://acme.api-us1.com.", "https://acme.api-us1.com/api/3"),
        ("http://[::1]:8765", "http://[::1]:8765/api/3"),
    ],
)
def test_ports_and_loopback_are_kept(url: str, base: str) -> None:
    assert base_url(url) == base


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("https://acme.api-us1.com", "acme"),
        ("acme.activehosted.com/api/3", "acme"),
        ("https://acme.api-eu1.com", "acme"),
        ("https://crm.acme.com", "crm.acme.com"),
        ("https://activehosted.com", "activehosted.com"),
        ("http://127.0.0.1:8765", "127.0.0.1"),
        ("http://[::1]:8765", "::1"),
    ],
)
def test_an_account_has_one_label_at_all_of_its_addresses(url: str, label: str) -> None:
    assert account_label(base_url(url)) == label


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "No ActiveCampaign URL is set"),
        ("   ", "No ActiveCampaign URL is set"),
        ("http://acme.api-us1.com", "unencrypted"),
        ("ftp://acme.api-us1.com", "not an http"),
        ("https://user:secret@acme.api-us1.com", "user or password"),
        ("https://acme", "not an ActiveCampaign host"),
        ("https://10.0.0.7", "not an ActiveCampaign host"),
        (f"https://{'a' * 64}.com", "not an ActiveCampaign host"),
        ("https://acme.api-us1.com:port", "not a URL"),
        ("https://[half", "not a URL"),
        ("https://acme.api-us1.com/api/3?x=1", "not the address of an account"),
        ("https://acme.api-us1.com/app/contacts", "not the address of an account"),
        ("https://acme.api-us1.com#top", "not the address of an account"),
    ],
)
def test_what_cannot_be_an_address_is_refused_with_a_hint(url: str | None, reason: str) -> None:
    with pytest.raises(AddressError, match=reason) as caught:
        base_url(url)
    assert "Settings → Developer" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "{key}",
        "https://{key}",
        "https://acme.api-us1.com/admin/api.php?api_key={key}",
        "acme.api-us1.com/{key}",
        "http://acme.api-us1.com/#{key}",
        "ftp://user:{key}@acme.api-us1.com",
        "https://acme.api-us1.com:{key}",
        "https://user:{key}@[half",
        "https://acme℀{key}",
    ],
)
def test_a_key_in_place_of_the_url_or_in_it_is_not_shown(url: str) -> None:
    key = "9f8e7d6c5b4a3928" * 4
    with pytest.raises(AddressError, match="Settings → Developer") as caught:
        base_url(url.format(key=key))
    assert key not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "No ActiveCampaign API key is set"),
        ("", "is set"),
        ("  ", "is set"),
        ("“”", "is set"),
        ("two words", "a blank or a line break"),
        ("line\nbreak", "a blank or a line break"),
        ("no\u00a0break", "a blank or a line break"),
        ("schlüssel", "characters that API keys do not have"),
        ("a\x00b\x00", "as UTF-8"),
        ("\ufffda\ufffd", "as UTF-8"),
        ("abc\x1bdef", "a control character"),
        ('abc"def', "a quotation mark"),
        ("abc\u2019def", "a quotation mark"),
        ("${MY_SECRET}", "a placeholder"),
        ("{{ env.MY_SECRET }}", "a placeholder"),
        ("https://acme.api-us1.com", "may be swapped"),
        ("acme.activehosted.com", "may be swapped"),
    ],
)
def test_what_cannot_be_a_key_is_refused_by_name_without_showing_it(
    key: str | None, said: str
) -> None:
    with pytest.raises(CredentialsError, match=f"{said}.*Settings → Developer") as caught:
        api_key(key)
    assert not (key or "").strip(" “”") or str(key) not in str(caught.value)


AROUND = [
    *("{}", " {}\n", "\ufeff{}", "{}\u200b", "\u00a0{}", "<{}>"),
    *('"{}"', "'{}'", "`{}`", '"{}', "{}'", ' " {} " ', '"{}",'),
    *("“{}”", "\u2018{}\u2019", "„{}“", "«{}»", "\u2060“\ufeff{}”\r\n"),
]


@pytest.mark.parametrize("around", AROUND)
def test_what_comes_with_a_pasted_value_is_taken_off(around: str) -> None:
    key = "9f8e7d6c5b4a3928"
    assert api_key(around.format(key)) == key
    assert base_url(around.format("acme.api-us1.com")) == "https://acme.api-us1.com/api/3"
    url = "https://acme.api-us1.com/api/3/"
    assert base_url(around.format(url)) == "https://acme.api-us1.com/api/3"


@pytest.mark.parametrize(
    "label", ["Api-Token: {}", "api-token:{}", "API Key: {}", "ACTIVECAMPAIGN_API_KEY={}",
              'export ACTIVECAMPAIGN_API_KEY="{}"', "key = '{}'"],
)  # fmt: skip
def test_a_label_pasted_with_a_key_is_taken_off(label: str) -> None:
    assert api_key(label.format("9f8e7d6c5b4a3928")) == "9f8e7d6c5b4a3928"


@pytest.mark.parametrize("label", ["URL: {}", "API URL: {}", 'ACTIVECAMPAIGN_URL="{}"'])
def test_a_label_pasted_with_a_url_is_taken_off(label: str) -> None:
    assert base_url(label.format("https://acme.api-us1.com")) == "https://acme.api-us1.com/api/3"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://acme.api-us1 .com", "a blank or a line break"),
        ("https://acme.api-us1\n.com", "a blank or a line break"),
        ("h\x00t\x00t\x00p\x00", "as UTF-8"),
        ("https://${ACCOUNT}.api-us1.com", "a placeholder"),
        ("https://acme.api-us1.com/“api”/3", "a quotation mark"),
    ],
)
def test_what_a_url_cannot_hold_is_named(url: str, said: str) -> None:
    with pytest.raises(AddressError, match=f"{said}.*Settings → Developer"):
        base_url(url)


def test_a_host_that_may_be_the_key_is_not_shown() -> None:
    key = "9f8e7d6c5b4a3928" * 3
    with pytest.raises(AddressError) as caught:
        base_url(f"http://{key}.api-us1.com")
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("localhost.", True),
        ("127.0.0.1", True),
        ("127.255.3.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost.acme.com", False),
        ("10.0.0.1", False),
        ("::2", False),
        ("acme.api-us1.com", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_all_its_names(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected

"""Values that users paste: cleaned of what came with them, or refused by the name of the problem.

A spreadsheet, a mail or a web page adds quotation marks, blanks and characters that nobody sees. No
URL and no key begins or ends with one of them. Within, they are a sign that something else was
pasted. No problem shows any of the value: it may be the key.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_QUOTES = ("QUOTATION MARK", "APOSTROPHE", "GRAVE ACCENT", "ACUTE ACCENT")  # in Unicode's names
_AROUND = "<>,;"
_LABEL = re.compile(
    r"(?:export\s+)?(?:[a-z]+[-_ ])?(?:api[-_ ]?)?(?:token|key|url)\s*[:=](?!//)\s*", re.IGNORECASE
)


def clean(text: str) -> str:
    """`text` without a label such as `Api-Token:`, quotation marks, blanks and the invisible."""
    seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
    bare = _strip(seen)
    label = _LABEL.match(bare)
    return _strip(bare[label.end() :]) if label else bare


def _strip(text: str) -> str:
    before = None
    while before != text:
        before = text
        text = text.strip().strip("".join(filter(_is_quote, text)) + _AROUND)
    return text


def _is_quote(character: str) -> bool:
    return unicodedata.name(character, "").endswith(_QUOTES)


def problem(text: str) -> str | None:
    """What a URL or a key cannot hold and `text` does, as `holds …`; None if there is nothing."""
    signs: tuple[tuple[Callable[[str], bool], str], ...] = (
        (
            "\x00\ufffd".__contains__,
            "contains bytes that are not text; save the file that it is in as UTF-8",
        ),
        ("{}<>$".__contains__, "contains a placeholder that was not filled in"),
        (_is_quote, "contains a quotation mark"),
        (str.isspace, "contains a blank or a line break"),
        (lambda c: unicodedata.category(c) == "Cc", "contains a control character"),
    )
    return next((name for is_one, name in signs if any(map(is_one, text))), None)

"""Made-up words, and numbers that depend on nothing but a seed.

No name here belongs to a real person or company; mail domains are the reserved ones of RFC 2606
and telephone numbers the fictional +1-202-555-01xx.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFFFFFFFFFF

FIRST = tuple(
    a + b
    for a in ("Avel", "Brin", "Cor", "Dal", "El", "Fen", "Gal", "Hest", "Ist", "Jor", "Kel", "Lum")
    for b in ("an", "ka", "vo", "rin", "ia", "ett")
)
LAST = tuple(
    a + b
    for a in ("Quell", "Brast", "Tarv", "Ond", "Merr", "Skal", "Pind", "Wex", "Yarr", "Zoll")
    for b in ("mar", "wick", "ovan", "ness", "ley", "drum", "haven")
)
_PLAIN = tuple(
    f"{a} {b}"
    for a in ("Corvella", "Nimbrook", "Tessaro", "Polvane", "Harrowmint", "Ostriva", "Bluefenn")
    for b in ("Labs", "Foods", "Logistics", "Clinics", "Tools", "Media", "Farms", "Systems")
)
COMPANY = (*_PLAIN, "Zäntra Büro", 'The "Quay" Co', "Ølmar & Søn", "日々 Works")
OFFER = (
    "starter plan",
    "team plan",
    "company plan",
    "onboarding",
    "annual licence",
    "support package",
    "pilot",
    "extra seats",
    "migration",
    "training days",
)
DOMAINS = ("example.com", "example.net", "example.org")
TOPICS = ("Spring offer", "Product news", "Webinar", "Customer story", "Price change", "Survey")


def mix(seed: int, number: int) -> int:
    """64 well-mixed bits from two numbers (the finaliser of SplitMix64)."""
    x = (number * 0x9E3779B97F4A7C15 + seed) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def salted(seed: int, salt: str) -> int:
    """A seed of its own for every kind of record."""
    return mix(seed, int.from_bytes(salt.encode(), "big"))


def phone(bits: int) -> str:
    """A telephone number from the range kept free for fiction."""
    return f"+1-202-555-01{bits % 100:02d}"

"""Identifiers of alerts and objects in a user's table: parsed exactly, or refused with a reason."""

import re
from collections.abc import Sequence
from decimal import Decimal

MAX_CANDID = 2**63 - 1
_MAX_DIGITS = 19
# Characters around an identifier in spreadsheets, such as '1, ="1" or NBSP.
_PADDING = " \t\r\n\v\f\u00a0\u200b\u202f\ufeff'\"`\u00b4\u2018\u2019\u201c\u201d="
_NULLS = frozenset(("", "nan", "none", "null", "na", "n/a", "<na>", "nat", "-", "--"))
_GROUPED = re.compile(r"[0-9]{1,3}(?:([,.'_ \u00a0\u2019\u202f])[0-9]{3})(?:\1[0-9]{3})+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:e[+-]?[0-9]+)?", re.IGNORECASE)
_ZTF_OBJECT = re.compile(r"ZTF[0-9]{2}[a-z]{7}")
_MAX_CHARACTERS = 64
# Every whole number up to this one is a float64.
_MAX_EXACT = 2**53
# Significant digits of a number in a spreadsheet.
_SPREADSHEET_DIGITS = 15


def strip_padding(text: str) -> str:
    """Return a text without blanks and quotes around it; empty if it is a word for a null."""
    text = text.strip(_PADDING)
    return "" if text.lower() in _NULLS else text


def parse_candid(text: str) -> int:
    """Return the candid in a text without padding, exactly.

    Separators of thousands are accepted, and a fraction of zeros of a number that is exact as
    float64. Raises ValueError with the reason for any other text than a whole number of 63 bits.
    """
    if not text.isdigit() and _GROUPED.fullmatch(text):
        text = re.sub("[^0-9]", "", text)
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        candid = int(text)
        if candid <= MAX_CANDID:
            return candid
        raise ValueError("more than 63 bits")
    if len(text) > _MAX_CHARACTERS:
        raise ValueError("too long")
    if not _FLOAT.fullmatch(text):
        raise ValueError("not a whole number")
    if text.startswith("-"):
        raise ValueError("a negative number")
    if text.lstrip("+").isdigit():
        raise ValueError("more than 63 bits")
    whole, _, fraction = text.partition(".")
    if whole.isdigit() and not fraction.strip("0") and int(whole) < _MAX_EXACT:
        return int(whole)
    raise ValueError("rounded by a spreadsheet or a float64 column")


def parse_object_id(text: str) -> str:
    """Return the id of an object in a text without padding.

    The case of ZTF's ids, such as ZTF18abcdefg, does not matter. Raises ValueError with the reason
    for a text that cannot be an id.
    """
    if len(text) > _MAX_CHARACTERS or not text.isprintable():
        raise ValueError("too long" if text.isprintable() else "not printable")
    normalised = text[:3].upper() + text[3:].lower()
    return normalised if _ZTF_OBJECT.fullmatch(normalised) else text


def are_rounded(candids: Sequence[int], min_fraction: float = 0.95) -> bool:
    """Return True if nearly all candids `(n,)` are probably rounded by a float64 or a spreadsheet.

    Such a candid is a number of 53 bits, the shortest decimal of one, or has 15 digits and then
    zeros. About one exact candid in ten is such a number by chance.
    """
    rounded = sum(map(_is_rounded, candids))
    return len(candids) > 0 and rounded >= min_fraction * len(candids)


def _is_rounded(candid: int) -> bool:
    if candid <= _MAX_EXACT:
        return False
    nearest = float(candid)
    unit = 10 ** (len(str(candid)) - _SPREADSHEET_DIGITS)
    return candid in (int(nearest), int(Decimal(repr(nearest)))) or candid % unit == 0

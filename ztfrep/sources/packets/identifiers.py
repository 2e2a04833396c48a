"""Identifiers of alerts and objects, as people's tables have them: exact, or refused by reason."""

import re
from collections.abc import Sequence
from decimal import Decimal

MOST_CANDID = 2**63 - 1
_MOST_DIGITS = 19
# What spreadsheets, and people who outwit them, put around an identifier: '1, ="1", NBSP.
_AROUND = " \t\r\n\v\f\u00a0\u200b\u202f\ufeff'\"`\u00b4\u2018\u2019\u201c\u201d="
_NONE = frozenset(("", "nan", "none", "null", "na", "n/a", "<na>", "nat", "-", "--"))
_GROUPED = re.compile(r"[0-9]{1,3}(?:([,.'_ \u00a0\u2019\u202f])[0-9]{3})(?:\1[0-9]{3})+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:e[+-]?[0-9]+)?", re.IGNORECASE)
_ZTF_OBJECT = re.compile(r"ZTF[0-9]{2}[a-z]{7}")
_MOST_OBJECT = 64
# Up to here every whole number is a float64.
_EXACT = 2**53
# Digits that a spreadsheet keeps.
_SPREADSHEET = 15


def bare(text: str) -> str:
    """Return a text without blanks and quotes around it; empty if it says that there is none."""
    text = text.strip(_AROUND)
    return "" if text.lower() in _NONE else text


def parse_candid(text: str) -> int:
    """Return the candid that a text without blanks around it names, exactly.

    Separators of thousands are read, and a fraction of zeros where a float still was exact. Raises
    ValueError with the reason for whatever else is not a whole number of 63 bits.
    """
    if not text.isdigit() and _GROUPED.fullmatch(text):
        text = re.sub("[^0-9]", "", text)
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        candid = int(text)
        if candid <= MOST_CANDID:
            return candid
        raise ValueError("more than 63 bits")
    if len(text) > _MOST_OBJECT:
        raise ValueError("too long")
    if not _FLOAT.fullmatch(text):
        raise ValueError("not a whole number")
    if text.startswith("-"):
        raise ValueError("a negative number")
    if text.lstrip("+").isdigit():
        raise ValueError("more than 63 bits")
    whole, _, fraction = text.partition(".")
    if whole.isdigit() and not fraction.strip("0") and int(whole) < _EXACT:
        return int(whole)
    raise ValueError("rounded by a spreadsheet or a float64 column")


def parse_object_id(text: str) -> str:
    """Return the object's id that a text without blanks around it names.

    ZTF's own, as ZTF18abcdefg, are known in any case. Raises ValueError with the reason for what
    can be no id.
    """
    if len(text) > _MOST_OBJECT or not text.isprintable():
        raise ValueError("too long" if text.isprintable() else "not printable")
    spelled = text[:3].upper() + text[3:].lower()
    return spelled if _ZTF_OBJECT.fullmatch(spelled) else text


def look_rounded(candids: Sequence[int], share: float = 0.95) -> bool:
    """Return whether nearly all candids `(n,)` are what a float64 or a spreadsheet leaves of one.

    Those ends are digits of 53 bits, of the shortest decimal that names them, or of 15 digits
    filled up with zeros. Of candids that are exact, one of some ten has such an end.
    """
    rounded = sum(map(_looks_rounded, candids))
    return len(candids) > 0 and rounded >= share * len(candids)


def _looks_rounded(candid: int) -> bool:
    if candid <= _EXACT:
        return False
    nearest = float(candid)
    ends = 10 ** (len(str(candid)) - _SPREADSHEET)
    return candid in (int(nearest), int(Decimal(repr(nearest)))) or candid % ends == 0

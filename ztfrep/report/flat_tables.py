"""Nested tables as flat ones, whose keys are the keys of all levels joined by dots."""

from collections.abc import Mapping
from typing import Any

ENDS = ("_low", "_high")


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested tables by their keys, joined by dots, in their order.

    An empty table is a value.
    """
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def without_ends(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat metrics without the ends of intervals of values that it has."""
    return {
        key: value
        for key, value in flat.items()
        if not (key.endswith(ENDS) and key.rsplit("_", 1)[0] in flat)
    }

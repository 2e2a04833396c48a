"""The errors of a pydantic model as an InputError of one line."""

import difflib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ztfrep.errors import InputError, quote

# Attributes of pydantic's bounds, and its words for them.
_BOUNDS = {
    "ge": "greater than or equal to",
    "gt": "greater than",
    "le": "less than or equal to",
    "lt": "less than",
}


def explain(path: str | Path, model: type[BaseModel], error: ValidationError) -> InputError:
    """Return the InputError for the first wrong key of the file at `path`.

    The message of a validator of a whole table has the form "FOUND; expected EXPECTED[; REMEDY]".
    """
    problems = error.errors(include_url=False)
    # Unknown keys come first: a missing key is usually a misspelt one.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    location = first["loc"]
    key = ".".join(str(part) for part in location)
    where = f"{path}: {key}" if key else str(path)
    if first["type"] == "extra_forbidden":
        siblings = _keys_at(model, location[:-1])
        similar = difflib.get_close_matches(str(location[-1]), siblings, n=1)
        remedy = f"did you mean {similar[0]!r}?" if similar else "remove it or correct its name"
        return InputError(
            where, found="an unknown key", expected=f"one of {', '.join(siblings)}", remedy=remedy
        )
    if first["type"] == "missing":
        remedy = "add the key; params.yaml in Git has every key"
        return InputError(where, found="nothing", expected="a value", remedy=remedy)
    if first["type"] == "value_error":
        found, _, rest = first["msg"].removeprefix("Value error, ").partition("; expected ")
        expected, _, remedy = rest.partition("; ")
        remedy = remedy or "change one of them"
        return InputError(where, found=found, expected=expected, remedy=remedy)
    found = _shown(first["input"]) if key else "no such table"
    expected = _expected(model, location) or first["msg"].removeprefix("Input should be ")
    return InputError(where, found=found, expected=expected, remedy=_remedy(first))


def _remedy(problem: Any) -> str:
    kind, value = problem["type"], problem["input"]
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return "write a number without quotes, such as 0.001 or 1.0e-3"
    if kind == "bool_type":
        return "write true or false"
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return "write it in quotes"
    return "correct this value"


def _shown(value: object) -> str:
    """Return a value as text for a message; a long one is cut before it is formatted."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    kind = type(value).__name__
    if isinstance(value, str):
        return f"{quote(value, 80)} ({kind})"
    # `strict_yaml` reads no such number, but other callers may pass one.
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length():,} bits"
    return f"{value!r} ({kind})"


def _expected(model: type[BaseModel], location: tuple[Any, ...]) -> str:
    """Return the `expected` text of a field, or else the bounds of a number, or else nothing."""
    table: Any = model
    fields: list[FieldInfo] = []
    for part in location:
        # The items of a list are no fields: the message of pydantic is used for them.
        if part not in getattr(table, "model_fields", {}):
            return ""
        field = table.model_fields[part]
        fields = [field, *_inner(field)]
        table = field.annotation
    for field in fields:
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "expected" in extra:
            return str(extra["expected"])
    bounds = [
        f"{words} {getattr(limit, name)}"
        for field in fields
        for limit in field.metadata
        for name, words in _BOUNDS.items()
        if hasattr(limit, name)
    ]
    if not bounds:
        return ""
    kind = "a valid integer" if "int" in str(fields[0].annotation) else "a valid number"
    return f"{kind} {' and '.join(bounds)}"


def _inner(field: FieldInfo) -> list[FieldInfo]:
    """Return the field information of the alternatives of a type such as `number | None`."""
    metadata = [getattr(part, "__metadata__", ()) for part in get_args(field.annotation)]
    return [info for parts in metadata for info in parts if isinstance(info, FieldInfo)]


def _keys_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    table: Any = model
    for part in location:
        table = table.model_fields[part].annotation
    return list(table.model_fields)

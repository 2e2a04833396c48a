"""Reading of model cards: JSON of bounded size, and errors that name the wrong key."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.encoders.cards import FORMAT, Card, format_value
from ztfrep.errors import InputError, quote

# Remedies of errors about a model folder.
REMEDY_MISSING = "train it with dvc repro"
REMEDY_CHANGED = "restore the folder, or train it again with dvc repro"

# A history of 10,000 epochs is smaller. Parsing a file at either limit takes a second and 150 MB.
_MAX_BYTES = 1 << 24
_MAX_VALUES = 500_000
_MAX_KEYS = 100


def read_card_content(path: Path) -> dict[str, Any]:
    """Read the JSON object of a card file, without validating its values.

    Raises InputError for a file that cannot be read, is too large, is not a JSON object, repeats a
    key, or has another value of `format` than `FORMAT`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(path, found=reason, expected="a model", remedy=REMEDY_MISSING) from error
    if len(text) > _MAX_BYTES or sum(text.count(c) for c in b",[{") > _MAX_VALUES:
        expected = f"at most {_MAX_BYTES:,} bytes and {_MAX_VALUES:,} values"
        raise InputError(path, found="a larger file", expected=expected, remedy=REMEDY_CHANGED)
    try:
        content = json.loads(
            text.decode("ascii"), object_pairs_hook=_build_object, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        description = describe(text[:HEAD_BYTES])
        if text.lstrip()[:1] == b"{":
            description = f"JSON that is broken ({quote(str(error), 80)})"
        raise InputError(
            path, found=description, expected="a model's card", remedy=REMEDY_CHANGED
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            path, found=format_value(content), expected="a JSON object", remedy=REMEDY_CHANGED
        )
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path}: format",
            found=format_value(content["format"]) if "format" in content else "none",
            expected=quote(FORMAT),
            remedy="train it again with dvc repro, or use the version of ztfrep that wrote it",
        )
    return content


def validate_card(path: Path, content: dict[str, Any], card_class: type[Card]) -> Card:
    """Return the content of a card file as a card, with `config` of its architecture's class.

    Raises InputError for the first wrong value; the error names its key.
    """
    network = card_class.model_fields["network"].default
    if content.get("network") != network:
        raise InputError(
            f"{path}: network",
            found=format_value(content.get("network")),
            expected=quote(network),
            remedy=f"use the folder of a network of that kind ({network})",
        )
    architecture = content.get("architecture")
    if not isinstance(architecture, str) or architecture not in card_class.ARCHITECTURES:
        raise InputError(
            f"{path}: architecture",
            found=format_value(architecture),
            expected=" or ".join(map(quote, card_class.ARCHITECTURES)),
            remedy=REMEDY_CHANGED,
        )
    try:
        return card_class.for_architecture(architecture).model_validate(content)
    except ValidationError as error:
        raise _to_input_error(path, error) from error


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict; raises ValueError for too many keys or a repeated key."""
    content = dict(pairs)
    if len(pairs) > _MAX_KEYS:
        raise ValueError(f"an object of {len(pairs):,} keys")
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"a repeated key {quote(repeated)}")
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is no number")


def _to_input_error(path: Path, error: ValidationError) -> InputError:
    """Return an InputError for the first problem of a validation error of pydantic."""
    problems = error.errors(include_url=False)
    # First an unknown key: a missing one is usually misspelt.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    # pydantic appends the name of a type to the location where a field is a union of types.
    parts = [part for part in first["loc"] if part not in ("int", "float", "constrained-int")]
    key = ".".join(quote(str(part)).strip("'") for part in parts)
    found, expected = format_value(first["input"]), first["msg"].removeprefix("Input should be ")
    # pydantic's messages name Python types, not those of JSON.
    if first["type"] in ("model_type", "model_attributes_type", "dict_type"):
        expected = "an object"
    elif first["type"].endswith(("too_short", "too_long")):
        expected = expected.partition("should have ")[2].partition(" after")[0]
    if first["type"] == "extra_forbidden":
        found, expected = "an unknown key", "only the keys of a card"
    elif first["type"] == "missing":
        found, expected = "nothing", "a value"
    elif first["type"] == "value_error":
        # The message of a validator has one of three forms: "KEY; found FOUND; expected EXPECTED",
        # "FOUND; expected EXPECTED" or "; expected EXPECTED".
        start, _, expected = first["msg"].removeprefix("Value error, ").partition("; ")
        if expected.startswith("found "):
            key = ".".join(part for part in (key, start) if part)
            found, _, expected = expected.removeprefix("found ").partition("; ")
        elif start:
            found = start
        expected = expected.removeprefix("expected ")
    return InputError(f"{path}: {key}", found=found, expected=expected, remedy=REMEDY_CHANGED)

"""Files of model cards: JSON whose size is bounded, and messages that name the key at fault."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.encoders.cards import FORMAT, Card, shown
from ztfrep.errors import InputError, quote

MISSING = "train it with dvc repro"
AGAIN = "restore the folder, or train it again with dvc repro"

# The history of 10,000 epochs fits; a text of either size is parsed in a second and 150 MB.
_MOST_BYTES = 1 << 24
_MOST_VALUES = 500_000
_MOST_KEYS = 100


def read_content(path: Path) -> dict[str, Any]:
    """Read the JSON object of a card; raises InputError for what `validate` need not see.

    That is a file that is too long, broken, of another format, or that holds a key twice.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        found = error.strerror or str(error)
        raise InputError(path, found=found, expected="a model", remedy=MISSING) from error
    if len(text) > _MOST_BYTES or sum(text.count(c) for c in b",[{") > _MOST_VALUES:
        expected = f"at most {_MOST_BYTES:,} bytes and {_MOST_VALUES:,} values"
        raise InputError(path, found="a file of more", expected=expected, remedy=AGAIN)
    try:
        content = json.loads(
            text.decode("ascii"), object_pairs_hook=_object, parse_constant=_constant
        )
    except (ValueError, RecursionError) as error:
        found = describe(text[:HEAD_BYTES])
        if text.lstrip()[:1] == b"{":
            found = f"JSON that is broken ({quote(str(error), 80)})"
        raise InputError(path, found=found, expected="a model's card", remedy=AGAIN) from error
    if not isinstance(content, dict):
        raise InputError(path, found=shown(content), expected="a JSON object", remedy=AGAIN)
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path}: format",
            found=shown(content["format"]) if "format" in content else "none",
            expected=quote(FORMAT),
            remedy="train it again with dvc repro, or use the version of ztfrep that wrote it",
        )
    return content


def validate(path: Path, content: dict[str, Any], kind: type[Card]) -> Card:
    """Return the content of a card as one of `kind`; raises InputError that names the first key."""
    network = kind.model_fields["network"].default
    if content.get("network") != network:
        raise InputError(
            f"{path}: network",
            found=shown(content.get("network")),
            expected=quote(network),
            remedy=f"give the folder of a network of that kind ({network})",
        )
    architecture = content.get("architecture")
    if not isinstance(architecture, str) or architecture not in kind.ARCHITECTURES:
        raise InputError(
            f"{path}: architecture",
            found=shown(architecture),
            expected=" or ".join(map(quote, kind.ARCHITECTURES)),
            remedy=AGAIN,
        )
    try:
        return kind.for_architecture(architecture).model_validate(content)
    except ValidationError as error:
        raise _explained(path, error) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(pairs) > _MOST_KEYS:
        raise ValueError(f"an object of {len(pairs):,} keys")
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"twice the key {quote(twice)}")
    return content


def _constant(name: str) -> None:
    raise ValueError(f"{name}, which is no number")


def _explained(path: Path, error: ValidationError) -> InputError:
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one: it is most often its misspelling.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    # A union of number types adds their names.
    parts = [part for part in first["loc"] if part not in ("int", "float", "constrained-int")]
    key = ".".join(quote(str(part)).strip("'") for part in parts)
    found, expected = shown(first["input"]), first["msg"].removeprefix("Input should be ")
    # pydantic's words are those of Python objects.
    if first["type"] in ("model_type", "model_attributes_type", "dict_type"):
        expected = "an object"
    elif first["type"].endswith(("too_short", "too_long")):
        expected = expected.partition("should have ")[2].partition(" after")[0]
    if first["type"] == "extra_forbidden":
        found, expected = "an unknown key", "the keys of a card alone"
    elif first["type"] == "missing":
        found, expected = "nothing", "a value"
    elif first["type"] == "value_error":
        # "KEY; found FOUND; expected EXPECTED", or "FOUND; expected EXPECTED", or without FOUND.
        where, _, expected = first["msg"].removeprefix("Value error, ").partition("; ")
        if expected.startswith("found "):
            key = ".".join(part for part in (key, where) if part)
            found, _, expected = expected.removeprefix("found ").partition("; ")
        elif where:
            found = where
        expected = expected.removeprefix("expected ")
    return InputError(f"{path}: {key}", found=found, expected=expected, remedy=AGAIN)

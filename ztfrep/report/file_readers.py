"""Readers of the files of a run: JSON, CSV and curves, whose numbers are all finite."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ztfrep.errors import InputError, quote

# The metrics of a run have some 50,000 bytes, the model card of 60 epochs 100,000, and the plot of
# 100,000 rows 5 MB.
_MAX_BYTES = 1 << 25
_MAX_DEPTH = 20
REMEDY = "make it again with dvc repro"

# Rows of a CSV by the names of their columns.
Rows = list[dict[str, str]]
# Values of a metric by epoch.
Curve = list[tuple[int, float]]


def read_bytes(path: Path) -> bytes | None:
    """Return the bytes of a file; None if there is none. Raises InputError for one too large."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        found = error.strerror or "a file that cannot be read"
        raise InputError(path, found=found, expected="a file", remedy=REMEDY) from error
    if len(content) > _MAX_BYTES:
        expected = "a file of the pipeline"
        found = f"more than {_MAX_BYTES:,} bytes"
        raise InputError(path, found=found, expected=expected, remedy=REMEDY)
    return content


def read_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if there is no file. Raises InputError as `parse_object` does."""
    content = read_bytes(path)
    return None if content is None else parse_object(content, path)


def parse_object(content: bytes, where: str | Path) -> dict[str, Any]:
    """Parse a JSON object without NaN; raises InputError for anything else, which names `where`."""
    try:
        value = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        found = f"broken JSON: {quote(str(error), 80)}"
        raise InputError(where, found=found, expected="metrics", remedy=REMEDY) from error
    if not isinstance(value, dict):
        found = f"a {type(value).__name__}"
        raise InputError(where, found=found, expected="a JSON object", remedy=REMEDY)
    _check(value, where, "", 0)
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _check(value: Any, where: str | Path, key: str, depth: int) -> None:
    found = ""
    if depth > _MAX_DEPTH:
        found = f"more than {_MAX_DEPTH} objects in one another"
    elif isinstance(value, float) and not math.isfinite(value):
        found = "a number that is not finite"
    if found:
        place = f"{where}: {quote(key, 80)}" if key else where
        raise InputError(place, found=found, expected="metrics", remedy=REMEDY)
    parts: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        parts = enumerate(value)
    for name, part in parts:
        _check(part, where, f"{key}.{name}" if key else str(name), depth + 1)


def read_rows(path: Path, columns: Sequence[str], *, delimiter: str = ",") -> Rows | None:
    """Read a CSV that has some columns, as text; None if there is no file.

    Raises InputError for a missing column, and for a row of another length than the header.
    """
    content = read_bytes(path)
    if content is None:
        return None
    try:
        text = content.decode("utf-8")
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        found = f"broken CSV: {quote(str(error), 80)}"
        raise InputError(path, found=found, expected="a plot", remedy=REMEDY) from error
    header = lines[0] if lines else []
    expected = f"columns {', '.join(columns)}"
    if missing := [name for name in columns if name not in header]:
        found = f"no column {', '.join(missing)}"
        raise InputError(path, found=found, expected=expected, remedy=REMEDY)
    for number, row in enumerate(lines[1:], start=2):
        if len(row) != len(header):
            found = f"{len(row)} fields in line {number}"
            expected = f"{len(header)} fields"
            raise InputError(path, found=found, expected=expected, remedy=REMEDY)
    return [dict(zip(header, row, strict=True)) for row in lines[1:]]


def numbers(rows: Rows, column: str, path: Path) -> list[float]:
    """Return a column of rows as numbers; raises InputError for anything that is not finite."""
    values = []
    for line, row in enumerate(rows, start=2):
        try:
            value = float(row[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            found = f"{quote(row[column])} in line {line}"
            where = f"{path}: {column}"
            raise InputError(where, found=found, expected="a number", remedy=REMEDY)
        values.append(value)
    return values


def read_curves(folder: Path) -> dict[str, dict[str, Curve]]:
    """Read the curves of a training by name and split; empty without a folder.

    The folder has the files `SPLIT/NAME.tsv`, as DVCLive writes them.
    """
    curves: dict[str, dict[str, Curve]] = {}
    for path in sorted(folder.glob("*/*.tsv")):
        name = path.stem
        rows = read_rows(path, ("step", name), delimiter="\t") or []
        steps, values = numbers(rows, "step", path), numbers(rows, name, path)
        curves.setdefault(name, {})[path.parent.name] = [
            (int(step), value) for step, value in zip(steps, values, strict=True)
        ]
    return curves

"""Writers' schemas of Avro, compiled for the fields that are wanted of their records.

Schemas are read by fastavro; what they say is compiled into the steps that `avro.Reader` follows.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import fastavro
import numpy as np

from ztfrep.sources.packets import avro

# The richest schema of a ZTF packet, a broker's, compiles to 1,700 steps.
_LONGEST = 30_000
_LARGEST_FIXED = 1 << 24

_NUMBER_SIZES = {"boolean": 1, "float": 4, "double": 8}
_INTEGERS = frozenset({"int", "long"})
_TEXTS = frozenset({"string", "bytes", "fixed"})
_WORDS = {
    "boolean": "a boolean",
    "int": "an integer",
    "long": "an integer",
    "float": "a float",
    "double": "a double",
    "string": "a string",
    "bytes": "a string of bytes",
    "fixed": "a string of bytes of fixed length",
    "enum": "an enum",
    "array": "an array",
    "map": "a map",
    "record": "a record",
    "error": "a record",
}


class Types(NamedTuple):
    """Types that a field's values may have, by Avro's names, and these in words."""

    names: frozenset[str]
    words: str


INTEGER = Types(_INTEGERS, "a 64-bit integer")
NUMBER = Types(_INTEGERS | {"float", "double"}, "a number")
TEXT = Types(_TEXTS, "a string")
# An enum is stored as the number of its symbol, which says nothing without the schema.
SCALAR = Types(_INTEGERS | _TEXTS | {"float", "double", "boolean"}, "a number or a string")


class Field(NamedTuple):
    """A wanted field, by its dotted path, and the types of its values.

    A value of another type is an error of its record if the field is `required`; it is marked as
    unreadable otherwise. A null is neither.
    """

    path: str
    types: Types = SCALAR
    required: bool = False


def compile_schema(
    schema: bytes, fields: Sequence[Field], rows: str = "", row_fields: Sequence[Field] = ()
) -> avro.Program:
    """Compile a writer's schema, JSON, for the wanted fields, whose order is that of the slots.

    `rows` is the path of an array of records whose `row_fields`, by their names, fill a table of
    their own. A path that the schema lacks is never filled. Raises ValueError for what is no Avro
    schema, is far longer than a packet's, contains itself, or has a field twice.
    """
    compiler = _Compiler(fields, rows, row_fields)
    try:
        stored = json.loads(schema)
        if isinstance(stored, dict):
            # Some packets have it from their writer, and fastavro would trust it.
            stored.pop("__fastavro_parsed", None)
        parsed = fastavro.parse_schema(stored)
        compiler.add(parsed, "", 0)
        steps = np.array([*compiler.steps, [avro.END, 0, avro.UNWANTED]], dtype=np.int64)
        record = parsed if isinstance(parsed, dict) else {}
        names = tuple(field["name"] for field in record.get("fields", ()))
    except _SchemaError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # A stranger's JSON makes a parser raise almost anything.
        raise ValueError(f"no Avro schema ({type(error).__name__})") from error
    return avro.Program(steps, tuple(compiler.refusals), str(record.get("name", "")), names)


class _SchemaError(ValueError):
    """A schema that is one of Avro, and is refused."""


class _Compiler:
    """Writes a schema's steps one after the other; types are written out wherever they are used."""

    def __init__(self, fields: Sequence[Field], rows: str, row_fields: Sequence[Field]) -> None:
        self.rows = rows
        self.slots = {field.path: (slot, field) for slot, field in enumerate(fields)}
        # No field's own name has brackets: only the array's items are there.
        self.slots |= {f"{rows}[].{field.path}": (n, field) for n, field in enumerate(row_fields)}
        self.steps: list[list[int]] = []
        self.refusals: list[str] = []
        self.named: dict[str, Any] = {}

    def add(self, schema: Any, path: str | None, depth: int) -> None:
        """Compile the schema at `path`; None where no path leads."""
        # A few names that use each other twice could write a program without end.
        if depth > avro.DEEPEST or len(self.steps) > _LONGEST:
            raise _SchemaError("a schema too deep or too long, or one that contains itself")
        if isinstance(schema, str) and schema in self.named:
            return self.add(self.named[schema], path, depth + 1)
        if isinstance(schema, list):
            return self._union(schema, path, depth)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, dict | list):
            return self.add(kind, path, depth + 1)
        if isinstance(schema, dict) and "name" in schema:
            self.named[schema["name"]] = schema
        if kind == "null":
            return None
        slot = self._slot(path, kind)
        if kind in ("record", "error"):
            self._record(schema["fields"], path, depth)
        elif kind in ("array", "map"):
            self._items(schema, kind, path, depth)
        elif kind in ("int", "long", "enum"):
            self.steps.append([avro.INTEGER, 0, slot])
        elif kind in ("bytes", "string"):
            self.steps.append([avro.BYTES, 0, slot])
        elif kind == "fixed":
            size = schema["size"]
            if type(size) is not int or not 0 <= size <= _LARGEST_FIXED:
                raise _SchemaError(
                    "a fixed type whose size is no number of bytes, or far too large"
                )
            self.steps.append([avro.FIXED, size, slot])
        else:
            self.steps.append([avro.NUMBER, _NUMBER_SIZES[kind], slot])
        return None

    def _slot(self, path: str | None, kind: str) -> int:
        if path is None or path not in self.slots:
            return avro.UNWANTED
        slot, field = self.slots[path]
        if kind in field.types.names:
            return slot
        if field.required:
            self.steps.append([avro.REFUSE, len(self.refusals), slot])
            where = path.replace("[]", "")
            self.refusals.append(f"{where} is {_WORDS[kind]}, not {field.types.words}")
        else:
            self.steps.append([avro.MARK, 0, slot])
        return avro.UNWANTED

    def _record(self, fields: list[dict[str, Any]], path: str | None, depth: int) -> None:
        seen = set()
        for field in fields:
            name = field["name"]
            # A name with a dot or a bracket would stand for another path.
            plain = path is not None and not {".", "["} & set(name)
            inner = (f"{path}.{name}" if path else name) if plain else None
            if name in seen:
                raise _SchemaError("a record that has a field twice")
            seen.add(name)
            self.add(field["type"], inner, depth + 1)

    def _union(self, parts: list[Any], path: str | None, depth: int) -> None:
        # The branch step, a jump to each branch, and a jump from its end to behind them all.
        self.steps.append([avro.BRANCH, len(parts), avro.UNWANTED])
        table = len(self.steps)
        self.steps += [[avro.JUMP, 0, avro.UNWANTED] for _ in parts]
        ends = []
        for place, part in enumerate(parts):
            self.steps[table + place][1] = len(self.steps)
            self.add(part, path, depth + 1)
            ends.append(len(self.steps))
            self.steps.append([avro.JUMP, 0, avro.UNWANTED])
        for end in ends:
            self.steps[end][1] = len(self.steps)

    def _items(self, schema: dict[str, Any], kind: str, path: str | None, depth: int) -> None:
        # Only items of the wanted array have a path.
        wanted = kind == "array" and path is not None and path == self.rows
        slot = avro.ROWS if wanted else avro.UNWANTED
        begin = len(self.steps)
        self.steps.append([avro.BEGIN, 0, slot])
        if kind == "map":
            self.steps.append([avro.BYTES, 0, avro.UNWANTED])
        inner = f"{path}[]" if wanted else None
        self.add(schema["items" if kind == "array" else "values"], inner, depth + 1)
        self.steps.append([avro.NEXT, begin, slot])
        self.steps[begin][1] = len(self.steps)

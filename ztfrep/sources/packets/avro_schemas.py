"""Writers' schemas of Avro, compiled into programs that read the wanted fields of a record.

fastavro parses a schema. The steps that read its records are those of `avro_program`.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import fastavro
import numpy as np

from ztfrep.sources.packets import avro_program

# The largest schema of a ZTF packet, that of a broker, compiles to 1,700 steps.
_MAX_STEPS = 30_000
_MAX_FIXED_BYTES = 1 << 24

_NUMBER_BYTES = {"boolean": 1, "float": 4, "double": 8}
_INTEGERS = frozenset({"int", "long"})
_TEXTS = frozenset({"string", "bytes", "fixed"})
_DESCRIPTIONS = {
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


class FieldTypes(NamedTuple):
    """Types that the values of a field may have: Avro's names, and a description for messages."""

    names: frozenset[str]
    description: str


INTEGER = FieldTypes(_INTEGERS, "a 64-bit integer")
NUMBER = FieldTypes(_INTEGERS | {"float", "double"}, "a number")
TEXT = FieldTypes(_TEXTS, "a string")
# An enum is excluded: it is stored as the number of its symbol.
SCALAR = FieldTypes(_INTEGERS | _TEXTS | {"float", "double", "boolean"}, "a number or a string")


class Field(NamedTuple):
    """A wanted field: its dotted path, and the types that its values may have.

    A value of another type is an error of its record if the field is `required`, and is marked as
    unreadable if not. A null is neither.
    """

    path: str
    types: FieldTypes = SCALAR
    required: bool = False


def compile_schema(
    schema: bytes, fields: Sequence[Field], array: str = "", item_fields: Sequence[Field] = ()
) -> avro_program.Program:
    """Compile a writer's schema, as JSON, for the wanted fields; their order is that of the slots.

    `array` is the path of an array of records. The `item_fields` of its records, by their names,
    fill a table of rows. A path that the schema lacks is never filled. Raises ValueError for bytes
    that are no Avro schema, and for a schema that is far longer than a packet's, that contains
    itself, or that has a field twice.
    """
    compiler = _Compiler(fields, array, item_fields)
    try:
        stored = json.loads(schema)
        if isinstance(stored, dict):
            # Some writers store this mark, and fastavro would not validate the schema then.
            stored.pop("__fastavro_parsed", None)
        parsed = fastavro.parse_schema(stored)
        compiler.add(parsed, "", 0)
        steps = np.array(
            [*compiler.steps, [avro_program.END, 0, avro_program.NO_SLOT]], dtype=np.int64
        )
        record = parsed if isinstance(parsed, dict) else {}
        names = tuple(field["name"] for field in record.get("fields", ()))
    except _SchemaError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # Untrusted JSON makes a parser raise almost anything.
        raise ValueError(f"no Avro schema ({type(error).__name__})") from error
    return avro_program.Program(steps, tuple(compiler.refusals), str(record.get("name", "")), names)


class _SchemaError(ValueError):
    """A valid Avro schema that is refused."""


class _Compiler:
    """Appends the steps of a schema; the steps of a named type are repeated wherever it is used."""

    def __init__(self, fields: Sequence[Field], array: str, item_fields: Sequence[Field]) -> None:
        self.array = array
        self.slots = {field.path: (slot, field) for slot, field in enumerate(fields)}
        # The name of a field has no brackets: such a path is that of an item of the array.
        self.slots |= {
            f"{array}[].{field.path}": (slot, field) for slot, field in enumerate(item_fields)
        }
        self.steps: list[list[int]] = []
        self.refusals: list[str] = []
        self.named_types: dict[str, Any] = {}

    def add(self, schema: Any, path: str | None, depth: int) -> None:
        """Compile the schema at `path`; None where no wanted field can be."""
        # Types that use each other twice could make an endless program.
        if depth > avro_program.MAX_DEPTH or len(self.steps) > _MAX_STEPS:
            raise _SchemaError("a schema too deep or too long, or one that contains itself")
        if isinstance(schema, str) and schema in self.named_types:
            return self.add(self.named_types[schema], path, depth + 1)
        if isinstance(schema, list):
            return self._add_union(schema, path, depth)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, dict | list):
            return self.add(kind, path, depth + 1)
        if isinstance(schema, dict) and "name" in schema:
            self.named_types[schema["name"]] = schema
        if kind == "null":
            return None
        slot = self._slot(path, kind)
        if kind in ("record", "error"):
            self._add_record(schema["fields"], path, depth)
        elif kind in ("array", "map"):
            self._add_items(schema, kind, path, depth)
        elif kind in ("int", "long", "enum"):
            self.steps.append([avro_program.READ_INTEGER, 0, slot])
        elif kind in ("bytes", "string"):
            self.steps.append([avro_program.READ_BYTES, 0, slot])
        elif kind == "fixed":
            size = schema["size"]
            if type(size) is not int or not 0 <= size <= _MAX_FIXED_BYTES:
                raise _SchemaError(
                    "a fixed type whose size is no number of bytes, or far too large"
                )
            self.steps.append([avro_program.READ_FIXED, size, slot])
        else:
            self.steps.append([avro_program.READ_NUMBER, _NUMBER_BYTES[kind], slot])
        return None

    def _slot(self, path: str | None, kind: str) -> int:
        if path is None or path not in self.slots:
            return avro_program.NO_SLOT
        slot, field = self.slots[path]
        if kind in field.types.names:
            return slot
        if field.required:
            self.steps.append([avro_program.REFUSE, len(self.refusals), slot])
            name = path.replace("[]", "")
            self.refusals.append(f"{name} is {_DESCRIPTIONS[kind]}, not {field.types.description}")
        else:
            self.steps.append([avro_program.MARK_UNREADABLE, 0, slot])
        return avro_program.NO_SLOT

    def _add_record(self, fields: list[dict[str, Any]], path: str | None, depth: int) -> None:
        names = set()
        for field in fields:
            name = field["name"]
            # A name with a dot or a bracket would be the path of another field.
            addressable = path is not None and not {".", "["} & set(name)
            inner = (f"{path}.{name}" if path else name) if addressable else None
            if name in names:
                raise _SchemaError("a record that has a field twice")
            names.add(name)
            self.add(field["type"], inner, depth + 1)

    def _add_union(self, branches: list[Any], path: str | None, depth: int) -> None:
        # The union step, a jump to each branch, and at the end of each a jump past the last one.
        self.steps.append([avro_program.READ_UNION, len(branches), avro_program.NO_SLOT])
        table = len(self.steps)
        self.steps += [[avro_program.JUMP, 0, avro_program.NO_SLOT] for _ in branches]
        ends = []
        for index, branch in enumerate(branches):
            self.steps[table + index][1] = len(self.steps)
            self.add(branch, path, depth + 1)
            ends.append(len(self.steps))
            self.steps.append([avro_program.JUMP, 0, avro_program.NO_SLOT])
        for end in ends:
            self.steps[end][1] = len(self.steps)

    def _add_items(self, schema: dict[str, Any], kind: str, path: str | None, depth: int) -> None:
        # Only items of the wanted array have a path.
        wanted = kind == "array" and path is not None and path == self.array
        slot = avro_program.ROW_TABLE if wanted else avro_program.NO_SLOT
        begin = len(self.steps)
        self.steps.append([avro_program.BEGIN_ARRAY, 0, slot])
        if kind == "map":
            self.steps.append([avro_program.READ_BYTES, 0, avro_program.NO_SLOT])
        inner = f"{path}[]" if wanted else None
        self.add(schema["items" if kind == "array" else "values"], inner, depth + 1)
        self.steps.append([avro_program.NEXT_ITEM, begin, slot])
        self.steps[begin][1] = len(self.steps)

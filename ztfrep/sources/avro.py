"""Avro records by the thousand: wanted fields go straight into arrays, all others are stepped over.

A ZTF packet holds some 1,300 values, of which a row needs 30. Readers that build a dict of them all
spend most of their time there; this one compiles a schema once, and then walks the bytes. Schemas
are read by fastavro.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import fastavro
import numpy as np
from numba import njit

# No packet is near these, and the richest tells of some 200 epochs: bytes that ask for more are
# hostile.
_MOST_ROWS = 10_000
_MOST_STEPS = 10_000_000
_LONGEST = 100_000
_DEEPEST = 64

# What a step of a program does: read a value, or decide where to go on.
_NUMBER_SIZES = {"boolean": 1, "float": 4, "double": 8}
_INTEGER, _NUMBER, _BYTES, _FIXED, _BRANCH, _JUMP, _BEGIN, _NEXT, _END = range(9)
_UNWANTED, _ROWS = -1, -2
_MALFORMED, _FULL = -1, -2

# A compiled schema: steps int64 `(n, 3)` of what to do, its argument, and the slot to fill.
Program = np.ndarray


class Values(NamedTuple):
    """What was read of n records, by the slots of the wanted fields.

    `numbers` is float64 `(n, slots)`, NaN where the value is no number; text of one byte gives that
    byte. `spans` is int64 `(n, slots, 2)`: of text and bytes where they start in the block and how
    long they are, of an integer its value and -1; (-1, -1) where there is no value.
    """

    numbers: np.ndarray
    spans: np.ndarray

    @classmethod
    def empty(cls, rows: int, slots: int) -> "Values":
        """Make room for `rows` records without a value."""
        return cls(np.full((rows, slots), np.nan), np.full((rows, slots, 2), -1, dtype=np.int64))

    def clear(self, first: int) -> None:
        """Take the values from row `first` on away."""
        self.numbers[first:], self.spans[first:] = np.nan, -1

    def doubled(self) -> "Values":
        """Make room for as many rows again."""
        more = Values.empty(*self.numbers.shape)
        return Values(*(np.concatenate(pair) for pair in zip(self, more, strict=True)))


def compile_schema(
    schema: bytes, fields: Sequence[str], rows: str = "", row_fields: Sequence[str] = ()
) -> Program:
    """Compile a writer's schema, JSON, for the wanted fields.

    `fields` are dotted paths; their places are the slots. `rows` is the path of an array of records
    whose `row_fields` fill a table of their own. A path that the schema lacks is never filled.
    Raises ValueError for what is no Avro schema, or one that contains itself.
    """
    try:
        parsed = fastavro.parse_schema(json.loads(schema))
        slots = {path: slot for slot, path in enumerate(fields)}
        slots |= {f"{rows}.{name}": slot for slot, name in enumerate(row_fields)}
        compiler = _Compiler(slots, rows)
        compiler.add(parsed, "", 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"no Avro schema ({type(error).__name__})") from error
    except fastavro.schema.SchemaParseException as error:
        raise ValueError("no Avro schema") from error
    return np.array([*compiler.steps, [_END, 0, _UNWANTED]], dtype=np.int64)


class _Compiler:
    """Writes a schema's steps one after the other; types are written out wherever they are used."""

    def __init__(self, slots: Mapping[str, int], rows: str) -> None:
        self.slots, self.rows = slots, rows
        self.steps: list[list[int]] = []
        self.named: dict[str, Any] = {}

    def add(self, schema: Any, path: str, depth: int) -> None:
        """Compile the schema that stands at `path`."""
        # A few names that use each other twice could write a program without end.
        if depth > _DEEPEST or len(self.steps) > _LONGEST:
            raise ValueError("too deep or too long")
        if isinstance(schema, str) and schema in self.named:
            return self.add(self.named[schema], path, depth + 1)
        if isinstance(schema, list):
            return self._union(schema, path, depth)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, dict | list):
            return self.add(kind, path, depth + 1)
        if isinstance(schema, dict) and "name" in schema:
            self.named[schema["name"]] = schema
        slot = self.slots.get(path, _UNWANTED)
        if kind in ("record", "error"):
            for field in schema["fields"]:
                inner = f"{path}.{field['name']}" if path else field["name"]
                self.add(field["type"], inner, depth + 1)
        elif kind in ("array", "map"):
            self._items(schema, kind, path, depth)
        elif kind in ("int", "long", "enum"):
            self.steps.append([_INTEGER, 0, slot])
        elif kind in ("bytes", "string"):
            self.steps.append([_BYTES, 0, slot])
        elif kind == "fixed":
            self.steps.append([_FIXED, int(schema["size"]), slot])
        elif kind != "null":
            self.steps.append([_NUMBER, _NUMBER_SIZES[kind], slot])
        return None

    def _union(self, parts: list[Any], path: str, depth: int) -> None:
        # The branch step, a jump to each branch, and a jump from its end to behind them all.
        self.steps.append([_BRANCH, len(parts), _UNWANTED])
        table = len(self.steps)
        self.steps += [[_JUMP, 0, _UNWANTED] for _ in parts]
        ends = []
        for place, part in enumerate(parts):
            self.steps[table + place][1] = len(self.steps)
            self.add(part, path, depth + 1)
            ends.append(len(self.steps))
            self.steps.append([_JUMP, 0, _UNWANTED])
        for end in ends:
            self.steps[end][1] = len(self.steps)

    def _items(self, schema: dict[str, Any], kind: str, path: str, depth: int) -> None:
        # Only items of the wanted array have a path.
        wanted = kind == "array" and path == self.rows
        slot = _ROWS if wanted else _UNWANTED
        begin = len(self.steps)
        self.steps.append([_BEGIN, 0, slot])
        if kind == "map":
            self.steps.append([_BYTES, 0, _UNWANTED])
        inner = path if wanted else "\0"
        self.add(schema["items" if kind == "array" else "values"], inner, depth + 1)
        self.steps.append([_NEXT, begin, slot])
        self.steps[begin][1] = len(self.steps)


class Reader:
    """Reads records one after the other into `alerts` and, of their wanted array, into `rows`."""

    def __init__(self, slots: int, row_slots: int) -> None:
        self.alerts = Values.empty(256, slots)
        self.rows = Values.empty(4096, row_slots)
        self.n_alerts = 0
        self._count = np.zeros(1, dtype=np.int64)

    @property
    def n_rows(self) -> int:
        """Rows read so far."""
        return int(self._count[0])

    def read(self, program: Program, block: bytes, start: int) -> int:
        """Read the record that starts at byte `start` of a block; give where it ends.

        Raises ValueError if the bytes do not follow the schema; nothing of it is kept then.
        """
        data = np.frombuffer(block, dtype=np.uint8)
        record, before = self.n_alerts, self.n_rows
        if record == len(self.alerts.numbers):
            self.alerts = self.alerts.doubled()
        while True:
            self._count[0] = before
            end: int = _walk(program, data, start, *self.alerts, record, *self.rows, self._count)
            if end != _FULL:
                break
            if len(self.rows.numbers) - before > _MOST_ROWS:
                end = _MALFORMED
                break
            self.rows = self.rows.doubled()
        if end == _MALFORMED:
            self.alerts.clear(record)
            self.rows.clear(before)
            self._count[0] = before
            raise ValueError("bytes that do not follow the schema")
        self.n_alerts += 1
        return end


@njit(cache=True, nogil=True)
def _varint(data, position):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    for place in range(10):
        if position >= len(data):
            break
        byte = np.uint64(data[position])
        position += 1
        value |= (byte & np.uint64(0x7F)) << np.uint64(7 * place)
        if byte < np.uint64(0x80):
            sign = np.int64(value & np.uint64(1))
            return np.int64(value >> np.uint64(1)) ^ -sign, position
    return np.int64(0), np.int64(_MALFORMED)


@njit(cache=True, nogil=True)
def _walk(  # type: ignore[no-untyped-def]
    program, data, position, numbers, spans, record, row_numbers, row_spans, count
):
    """Step over one record that starts at `position`, and note what is wanted of it."""
    word = np.zeros(1, dtype=np.uint64)
    as_float, as_double = word.view(np.float32), word.view(np.float64)
    # Of every array that is open: items still to come in this block, where the last one began.
    to_come = np.zeros(_DEEPEST, dtype=np.int64)
    began = np.zeros(_DEEPEST, dtype=np.int64)
    to_numbers, to_spans, row = numbers, spans, record
    depth, step, end = 0, 0, len(data)
    for _ in range(_MOST_STEPS):
        do, argument, slot = program[step, 0], program[step, 1], program[step, 2]
        step += 1
        if do == _END:
            return position
        if do == _JUMP:
            step = argument
        elif do == _BRANCH:
            branch, position = _varint(data, position)
            if position < 0 or branch < 0 or branch >= argument:
                return _MALFORMED
            step = program[step + branch, 1]
        elif do == _INTEGER:
            value, position = _varint(data, position)
            if position < 0:
                return _MALFORMED
            if slot >= 0:
                to_numbers[row, slot] = value
                to_spans[row, slot, 0] = value
        elif do == _NUMBER:
            if argument > end - position:
                return _MALFORMED
            if slot >= 0:
                word[0] = 0
                for place in range(argument):
                    word[0] |= np.uint64(data[position + place]) << np.uint64(8 * place)
                value = float(word[0])
                if argument == 4:
                    value = float(as_float[0])
                elif argument == 8:
                    value = as_double[0]
                to_numbers[row, slot] = value
            position += argument
        elif do in (_BYTES, _FIXED):
            size = argument
            if do == _BYTES:
                size, position = _varint(data, position)
            if position < 0 or size < 0 or size > end - position:
                return _MALFORMED
            if slot >= 0:
                to_spans[row, slot, 0] = position
                to_spans[row, slot, 1] = size
                if size == 1:
                    to_numbers[row, slot] = data[position]
            position += size
        else:
            if do == _BEGIN:
                depth += 1
                if depth == _DEEPEST:
                    return _MALFORMED
                to_come[depth] = 0
            else:
                # Items without bytes could be counted for ever.
                if position == began[depth]:
                    return _MALFORMED
                step = argument + 1
                argument = program[argument, 1]
            if to_come[depth] == 0:
                items, position = _varint(data, position)
                if position < 0:
                    return _MALFORMED
                if items < 0:
                    items = -items
                    _, position = _varint(data, position)
                if position < 0 or items < 0:
                    return _MALFORMED
                to_come[depth] = items
            if to_come[depth] == 0:
                depth -= 1
                step = argument
                if slot == _ROWS:
                    to_numbers, to_spans, row = numbers, spans, record
            else:
                to_come[depth] -= 1
                began[depth] = position
                if slot == _ROWS:
                    if count[0] >= len(row_numbers):
                        return _FULL
                    to_numbers, to_spans, row = row_numbers, row_spans, count[0]
                    count[0] += 1
    return _MALFORMED

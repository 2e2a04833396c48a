"""Programs of compiled Avro schemas, and the compiled function that runs one over a record.

A ZTF packet holds some 1,300 values, of which a row of a table needs 30. Readers that build a dict
of all values spend most of their time on it. A program writes the wanted values into arrays and
skips the others.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

# Arrays and maps within each other.
MAX_DEPTH = 64

# Kinds of steps. The compiled code below is cached by the date of this file: the numbers that it
# uses must be defined in this file.
(
    READ_INTEGER,
    READ_NUMBER,
    READ_BYTES,
    READ_FIXED,
    READ_UNION,
    JUMP,
    BEGIN_ARRAY,
    NEXT_ITEM,
    END,
    REFUSE,
    MARK_UNREADABLE,
) = range(11)
# In place of a slot: the value is not wanted, or the items of the array fill the table of rows.
NO_SLOT, ROW_TABLE = -1, -2
# Values that `run_program` returns in place of a position.
MALFORMED, ROW_TABLE_FULL, REFUSED, TOO_LARGE = -1, -2, -3, -4
# Counters that Python and the compiled code share: rows read, maximum of rows, steps that are left
# for a file, and the index of the refusal.
N_ROWS, MAX_ROWS, STEPS_LEFT, REFUSAL = range(4)

# The size in a span of a value whose type its field must not have.
UNREADABLE = -2
# Maximum of bytes of a text with a code: without blanks (a float64 holds it exactly), and in all.
_MAX_CODE_BYTES, _MAX_TEXT_BYTES = 6, 10


class Program(NamedTuple):
    """A compiled schema.

    `steps` int64 `(n, 3)` are the kind of a step, its argument, and the slot that it fills.
    `refusals` are the messages of its REFUSE steps. `name` is the record's name with its namespace,
    and `fields` are the names of its fields.
    """

    steps: np.ndarray
    refusals: tuple[str, ...]
    name: str
    fields: tuple[str, ...]


def text_code(text: str) -> float:
    """Return the number that represents a short text, without blanks and in lower case.

    NaN for a text of more than 6 other bytes.
    """
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    return float(_text_code(data, 0, len(data)))


@njit(cache=True, nogil=True)
def _varint(data, position):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    for index in range(10):
        if position >= len(data):
            break
        byte = np.uint64(data[position])
        position += 1
        value |= (byte & np.uint64(0x7F)) << np.uint64(7 * index)
        if byte < np.uint64(0x80):
            sign = np.int64(value & np.uint64(1))
            return np.int64(value >> np.uint64(1)) ^ -sign, position
    return np.int64(0), np.int64(MALFORMED)


@njit(cache=True, nogil=True)
def _text_code(data, position, size):  # type: ignore[no-untyped-def]
    """Return the bytes of a text as one number, after a leading 1."""
    value, length = np.int64(1), 0
    for index in range(position, position + size):
        byte = np.int64(data[index])
        if byte == 32:
            continue
        if 65 <= byte <= 90:
            byte += 32
        value = value << 8 | byte
        length += 1
        if length > _MAX_CODE_BYTES:
            return np.nan
    return float(value)


@njit(cache=True, nogil=True)
def _clear(numbers, spans, row):  # type: ignore[no-untyped-def]
    """Remove all values of a row."""
    for slot in range(numbers.shape[1]):
        numbers[row, slot] = np.nan
        spans[row, slot, 0] = -1
        spans[row, slot, 1] = -1


@njit(cache=True, nogil=True)
def run_program(  # type: ignore[no-untyped-def]
    steps, data, position, numbers, spans, record, row_numbers, row_spans, counters
):
    """Run a program over the record that starts at byte `position`; return where the record ends.

    The values of the record fill row `record` of `numbers` and `spans`, those of its array's items
    the next rows of `row_numbers` and `row_spans`. Returns one of MALFORMED, ROW_TABLE_FULL,
    REFUSED and TOO_LARGE if the record cannot be read.
    """
    word = np.zeros(1, dtype=np.uint64)
    as_float, as_double = word.view(np.float32), word.view(np.float64)
    # Of every open array: items left in the current block, and where the last item started.
    items_left = np.zeros(MAX_DEPTH, dtype=np.int64)
    item_start = np.zeros(MAX_DEPTH, dtype=np.int64)
    to_numbers, to_spans, row = numbers, spans, record
    depth, step, end = 0, 0, len(data)
    _clear(numbers, spans, record)
    for n_steps in range(counters[STEPS_LEFT]):
        kind, argument, slot = steps[step, 0], steps[step, 1], steps[step, 2]
        step += 1
        if kind == END:
            counters[STEPS_LEFT] -= n_steps
            return position
        if kind == JUMP:
            step = argument
        elif kind == READ_UNION:
            branch, position = _varint(data, position)
            if position < 0 or branch < 0 or branch >= argument:
                return MALFORMED
            step = steps[step + branch, 1]
        elif kind == READ_INTEGER:
            value, position = _varint(data, position)
            if position < 0:
                return MALFORMED
            if slot >= 0:
                to_numbers[row, slot] = value
                to_spans[row, slot, 0] = value
        elif kind == READ_NUMBER:
            if argument > end - position:
                return MALFORMED
            if slot >= 0:
                word[0] = 0
                for index in range(argument):
                    word[0] |= np.uint64(data[position + index]) << np.uint64(8 * index)
                value = float(word[0])
                if argument == 4:
                    value = float(as_float[0])
                elif argument == 8:
                    value = as_double[0]
                to_numbers[row, slot] = value
            position += argument
        elif kind in (READ_BYTES, READ_FIXED):
            size = argument
            if kind == READ_BYTES:
                size, position = _varint(data, position)
            if position < 0 or size < 0 or size > end - position:
                return MALFORMED
            if slot >= 0:
                to_spans[row, slot, 0] = position
                to_spans[row, slot, 1] = size
                if size <= _MAX_TEXT_BYTES:
                    to_numbers[row, slot] = _text_code(data, position, size)
            position += size
        elif kind == MARK_UNREADABLE:
            to_spans[row, slot, 1] = UNREADABLE
        elif kind == REFUSE:
            counters[REFUSAL] = argument
            return REFUSED
        else:
            if kind == BEGIN_ARRAY:
                depth += 1
                if depth == MAX_DEPTH:
                    return MALFORMED
                items_left[depth] = 0
            else:
                # The number of items without bytes has no limit.
                if position == item_start[depth]:
                    return MALFORMED
                step = argument + 1
                argument = steps[argument, 1]
            if items_left[depth] == 0:
                items, position = _varint(data, position)
                if position < 0:
                    return MALFORMED
                if items < 0:
                    items = -items
                    _, position = _varint(data, position)
                if position < 0 or items < 0:
                    return MALFORMED
                items_left[depth] = items
            if items_left[depth] == 0:
                depth -= 1
                step = argument
                if slot == ROW_TABLE:
                    to_numbers, to_spans, row = numbers, spans, record
            else:
                items_left[depth] -= 1
                item_start[depth] = position
                if slot == ROW_TABLE:
                    row = counters[N_ROWS]
                    if row >= counters[MAX_ROWS]:
                        return TOO_LARGE
                    if row >= len(row_numbers):
                        return ROW_TABLE_FULL
                    to_numbers, to_spans = row_numbers, row_spans
                    _clear(row_numbers, row_spans, row)
                    counters[N_ROWS] += 1
    return TOO_LARGE

"""Avro records by the thousand: wanted fields go straight into arrays, all others are stepped over.

A ZTF packet holds some 1,300 values, of which a row needs 30. Readers that build a dict of them all
spend most of their time there; this one walks the bytes by the steps of a compiled schema, see
`schemas`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

# No packet is near these, and the richest tells of 180 epochs in 22,000 steps: bytes that ask
# for more are hostile. The first is of a record, the others are of a file.
_MOST_ROWS_OF_RECORD = 10_000
_MOST_ROWS = 100_000
_MOST_STEPS = 50_000_000
DEEPEST = 64

# What a step of a program does: read a value, decide where to go on, refuse the record, or mark a
# value of a type that its field should not have. The compiled code below is cached by this file's
# date: these numbers may change nowhere else.
INTEGER, NUMBER, BYTES, FIXED, BRANCH, JUMP, BEGIN, NEXT, END, REFUSE, MARK = range(11)
UNWANTED, ROWS = -1, -2
_MALFORMED, _FULL, _REFUSED, _TOO_LONG = -1, -2, -3, -4
# Counters that Python and the compiled code share: rows so far, rows that there may be, steps left
# of a file, and the refusal's number.
_N_ROWS, _MOST, _LEFT, _REFUSAL = range(4)

# The size in a span of a value whose type its field should not have.
UNREADABLE = -2
# Of a text's code: bytes other than blanks that a float64 holds exactly, and with them.
_LONGEST_WORD, _LONGEST_TEXT = 6, 10


class Program(NamedTuple):
    """A compiled schema.

    `steps` int64 `(n, 3)` are what to do, its argument, and the slot to fill. `refusals` are the
    messages of its steps that refuse; `name` is the record's, with its namespace, and `fields` its
    fields'.
    """

    steps: np.ndarray
    refusals: tuple[str, ...]
    name: str
    fields: tuple[str, ...]


class RefusedError(ValueError):
    """A record whose bytes follow the schema, with a value of a type that cannot be used."""


class Values(NamedTuple):
    """What was read of n records, by the slots of the wanted fields.

    `numbers` is float64 `(n, slots)`: a number, 1 or 0 of a boolean, the `word_code` of a text, NaN
    where there is none. `spans` is int64 `(n, slots, 2)`: of text and bytes where they start in the
    block and how long they are, of an integer its value and -1; (-1, -1) where there is no value,
    (-1, UNREADABLE) of one whose type the field should not have.
    """

    numbers: np.ndarray
    spans: np.ndarray

    @classmethod
    def empty(cls, rows: int, slots: int) -> "Values":
        """Make room for `rows` records; what there is before they are read is undefined."""
        return cls(np.empty((rows, slots)), np.empty((rows, slots, 2), dtype=np.int64))

    def doubled(self) -> "Values":
        """Make room for as many rows again."""
        rows, slots = self.numbers.shape
        more = Values.empty(2 * rows, slots)
        more.numbers[:rows], more.spans[:rows] = self
        return more


def word_code(text: str) -> float:
    """Return the number that stands for a short text in `Values.numbers`.

    Blanks and the case of letters make no difference; NaN of more than 6 other bytes.
    """
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    return float(_word(data, 0, len(data)))


class Reader:
    """Reads records one after the other into `alerts` and, of their wanted array, into `rows`."""

    def __init__(self, slots: int, row_slots: int) -> None:
        self.alerts = Values.empty(256, slots)
        self.rows = Values.empty(4096, row_slots)
        self.n_alerts = 0
        self._counters = np.zeros(4, dtype=np.int64)
        self.begin_file()

    @property
    def n_rows(self) -> int:
        """Rows read so far."""
        return int(self._counters[_N_ROWS])

    def begin_file(self) -> None:
        """Begin a file: what its records may ask for counts from here."""
        self._most_rows = self.n_rows + _MOST_ROWS
        self._counters[_LEFT] = _MOST_STEPS

    def read(self, program: Program, block: bytes, start: int) -> int:
        """Read the record that starts at byte `start` of a block; return where it ends.

        Raises ValueError if the bytes do not follow the schema or ask for far more than a packet
        does, and RefusedError if a value has a type that it must not have; nothing of the record
        is kept then.
        """
        data = np.frombuffer(block, dtype=np.uint8)
        record, before = self.n_alerts, self.n_rows
        if record == len(self.alerts.numbers):
            self.alerts = self.alerts.doubled()
        counters = self._counters
        counters[_MOST] = min(before + _MOST_ROWS_OF_RECORD, self._most_rows)
        steps = program.steps
        while True:
            counters[_N_ROWS] = before
            end: int = _walk(steps, data, start, *self.alerts, record, *self.rows, counters)
            if end != _FULL:
                break
            self.rows = self.rows.doubled()
        if end < 0:
            self.drop(record, before)
            if end == _REFUSED:
                raise RefusedError(program.refusals[counters[_REFUSAL]])
            if end == _TOO_LONG:
                raise ValueError("far more epochs or values than any packet has")
            raise ValueError("bytes that do not follow the schema")
        self.n_alerts += 1
        return end

    def drop(self, alerts: int, rows: int) -> None:
        """Drop all but the first so many alerts and rows."""
        self.n_alerts, self._counters[_N_ROWS] = alerts, rows


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
def _word(data, position, size):  # type: ignore[no-untyped-def]
    """Return a text's bytes as one number, behind a 1, without blanks and in lower case."""
    value, length = np.int64(1), 0
    for place in range(position, position + size):
        byte = np.int64(data[place])
        if byte == 32:
            continue
        if 65 <= byte <= 90:
            byte += 32
        value = value << 8 | byte
        length += 1
        if length > _LONGEST_WORD:
            return np.nan
    return float(value)


@njit(cache=True, nogil=True)
def _clear(numbers, spans, row):  # type: ignore[no-untyped-def]
    """Make a row one without values."""
    for slot in range(numbers.shape[1]):
        numbers[row, slot] = np.nan
        spans[row, slot, 0] = -1
        spans[row, slot, 1] = -1


@njit(cache=True, nogil=True)
def _walk(  # type: ignore[no-untyped-def]
    program, data, position, numbers, spans, record, row_numbers, row_spans, counters
):
    """Step over one record that starts at `position`, and store what is wanted of it."""
    word = np.zeros(1, dtype=np.uint64)
    as_float, as_double = word.view(np.float32), word.view(np.float64)
    # Of every array that is open: items still to come in this block, where the last one began.
    to_come = np.zeros(DEEPEST, dtype=np.int64)
    began = np.zeros(DEEPEST, dtype=np.int64)
    to_numbers, to_spans, row = numbers, spans, record
    depth, step, end = 0, 0, len(data)
    _clear(numbers, spans, record)
    for taken in range(counters[_LEFT]):
        do, argument, slot = program[step, 0], program[step, 1], program[step, 2]
        step += 1
        if do == END:
            counters[_LEFT] -= taken
            return position
        if do == JUMP:
            step = argument
        elif do == BRANCH:
            branch, position = _varint(data, position)
            if position < 0 or branch < 0 or branch >= argument:
                return _MALFORMED
            step = program[step + branch, 1]
        elif do == INTEGER:
            value, position = _varint(data, position)
            if position < 0:
                return _MALFORMED
            if slot >= 0:
                to_numbers[row, slot] = value
                to_spans[row, slot, 0] = value
        elif do == NUMBER:
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
        elif do in (BYTES, FIXED):
            size = argument
            if do == BYTES:
                size, position = _varint(data, position)
            if position < 0 or size < 0 or size > end - position:
                return _MALFORMED
            if slot >= 0:
                to_spans[row, slot, 0] = position
                to_spans[row, slot, 1] = size
                if size <= _LONGEST_TEXT:
                    to_numbers[row, slot] = _word(data, position, size)
            position += size
        elif do == MARK:
            to_spans[row, slot, 1] = UNREADABLE
        elif do == REFUSE:
            counters[_REFUSAL] = argument
            return _REFUSED
        else:
            if do == BEGIN:
                depth += 1
                if depth == DEEPEST:
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
                if slot == ROWS:
                    to_numbers, to_spans, row = numbers, spans, record
            else:
                to_come[depth] -= 1
                began[depth] = position
                if slot == ROWS:
                    row = counters[_N_ROWS]
                    if row >= counters[_MOST]:
                        return _TOO_LONG
                    if row >= len(row_numbers):
                        return _FULL
                    to_numbers, to_spans = row_numbers, row_spans
                    _clear(row_numbers, row_spans, row)
                    counters[_N_ROWS] += 1
    return _TOO_LONG

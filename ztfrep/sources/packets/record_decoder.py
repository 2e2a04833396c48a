"""A decoder of Avro records: the wanted fields of many records, in arrays."""

from typing import NamedTuple

import numpy as np

from ztfrep.sources.packets import avro_program

# Limits of a record and of a file. The largest packet has 180 prior observations and takes 22,000
# steps: bytes that need far more are hostile.
_MAX_ROWS_OF_RECORD = 10_000
_MAX_ROWS_OF_FILE = 100_000
_MAX_STEPS_OF_FILE = 50_000_000


class RefusedRecordError(ValueError):
    """A record whose bytes follow the schema, with a value of a type that cannot be used."""


class FieldValues(NamedTuple):
    """Values of n records, by the slots of the wanted fields.

    `numbers` is float64 `(n, slots)`: a number, 1 or 0 for a boolean, the `text_code` of a text,
    NaN where there is no value. `spans` is int64 `(n, slots, 2)`: of a text or bytes the start in
    the block and the size, of an integer its value and -1; (-1, -1) where there is no value,
    (-1, UNREADABLE) for a value whose type the field must not have.
    """

    numbers: np.ndarray
    spans: np.ndarray

    @classmethod
    def allocate(cls, rows: int, slots: int) -> "FieldValues":
        """Return uninitialised values of `rows` records."""
        return cls(np.empty((rows, slots)), np.empty((rows, slots, 2), dtype=np.int64))

    def with_double_capacity(self) -> "FieldValues":
        """Return a copy with twice as many rows."""
        rows, slots = self.numbers.shape
        larger = FieldValues.allocate(2 * rows, slots)
        larger.numbers[:rows], larger.spans[:rows] = self
        return larger


class RecordDecoder:
    """Decodes records one after the other into `records`, and the items of an array into `rows`."""

    def __init__(self, slots: int, row_slots: int) -> None:
        self.records = FieldValues.allocate(256, slots)
        self.rows = FieldValues.allocate(4096, row_slots)
        self.n_records = 0
        self._counters = np.zeros(4, dtype=np.int64)
        self.begin_file()

    @property
    def n_rows(self) -> int:
        """Number of rows decoded."""
        return int(self._counters[avro_program.N_ROWS])

    def begin_file(self) -> None:
        """Begin a file: its limits count from this point."""
        self._max_rows = self.n_rows + _MAX_ROWS_OF_FILE
        self._counters[avro_program.STEPS_LEFT] = _MAX_STEPS_OF_FILE

    def decode(self, program: avro_program.Program, block: bytes, start: int) -> int:
        """Decode the record that starts at byte `start` of a block; return where it ends.

        Raises ValueError if the bytes do not follow the schema or need far more than a packet does,
        and RefusedRecordError for a value of a type that its field must not have; nothing of the
        record remains then.
        """
        data = np.frombuffer(block, dtype=np.uint8)
        record, n_rows = self.n_records, self.n_rows
        if record == len(self.records.numbers):
            self.records = self.records.with_double_capacity()
        counters = self._counters
        counters[avro_program.MAX_ROWS] = min(n_rows + _MAX_ROWS_OF_RECORD, self._max_rows)
        steps = program.steps
        while True:
            counters[avro_program.N_ROWS] = n_rows
            end: int = avro_program.run_program(
                steps, data, start, *self.records, record, *self.rows, counters
            )
            if end != avro_program.ROW_TABLE_FULL:
                break
            self.rows = self.rows.with_double_capacity()
        if end < 0:
            self.truncate(record, n_rows)
            if end == avro_program.REFUSED:
                raise RefusedRecordError(program.refusals[counters[avro_program.REFUSAL]])
            if end == avro_program.TOO_LARGE:
                raise ValueError("far more observations or values than any packet has")
            raise ValueError("bytes that do not follow the schema")
        self.n_records += 1
        return end

    def truncate(self, records: int, rows: int) -> None:
        """Remove all but the first `records` records and `rows` rows."""
        self.n_records, self._counters[avro_program.N_ROWS] = records, rows

"""What the rows of an alert table promise, checked batch by batch as they are written or read.

Pixels are streamed and forgotten; what has to be compared across the table (an entry per object,
16 bytes per candid) is kept until `finish`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ztfrep.data.alert_schema import MJD_RANGE, SPLITS, UNLABELLED, TableError, TableInfo
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.stamps import LARGEST_PIXEL
from ztfrep.errors import quote

_FILTERS = (1, 3)
_LONGEST_ID = 64


class RowChecks:
    """Checks the rows of one table in their order.

    Call `rows` for every batch, `pixels` for its stamps, and `finish` once at the end; each raises
    TableError for the first row that breaks a promise.
    """

    def __init__(self, info: TableInfo) -> None:
        self._info = info
        self._row = 0
        # Of the last row: the place of its split, its object, detection, and that object's mjd.
        self._split, self._object, self._detection = 0, "", -1
        self._mjd, self._label = -np.inf, UNLABELLED
        # Of the first row of every run of an object's rows.
        self._objects: list[pa.Array] = []
        self._starts: list[np.ndarray] = []
        self._splits: list[np.ndarray] = []
        self._candids: list[np.ndarray] = []
        self._candid_rows: list[np.ndarray] = []

    def rows(self, batch: pa.RecordBatch) -> None:
        """Check the columns of a batch other than `stamps`."""
        if not len(batch):
            return
        objects = self._text(batch, "object_id")
        split = self._text(batch, "split")
        batch = batch.set_column(batch.schema.get_field_index("object_id"), "object_id", objects)
        place = pc.index_in(split, pa.array(SPLITS)).fill_null(-1).to_numpy()
        self._refuse(
            batch, place < 0, lambda i: f"split {quote(split[i].as_py())}", ", ".join(SPLITS)
        )
        self._check_values(batch)
        self._check_features(batch)
        self._check_order(batch, objects, place)
        self._row += len(batch)

    def pixels(self, stamps: np.ndarray, rows: np.ndarray) -> None:
        """Check stamps float32 `(m, 3 H W)`, those of the table's rows `(m,)`."""
        if not len(stamps):
            return
        # Both pass over NaN, and are NaN where there is nothing else.
        high, low = np.fmax.reduce(stamps, axis=1), np.fmin.reduce(stamps, axis=1)
        wrong = (high >= LARGEST_PIXEL) | (low <= -LARGEST_PIXEL)
        if wrong.any():
            row = wrong.argmax()
            pixel = low[row] if low[row] <= -LARGEST_PIXEL else high[row]
            raise TableError(
                f"a pixel of {pixel:g} in row {rows[row]}",
                f"counts below {LARGEST_PIXEL:g}, NaN where not observed",
            )
        empty = np.isnan(high)
        if empty.any():
            raise TableError(
                f"stamps of NaN alone in row {rows[empty.argmax()]}",
                "null where no pixel is observed",
            )

    def finish(self) -> None:
        """Check what concerns the whole table: every object once, every candid once."""
        if not self._objects:
            return
        objects = pa.chunked_array(self._objects).combine_chunks()
        codes = objects.dictionary_encode().indices.to_numpy()
        pair = _first_repeated(codes)
        if pair is not None:
            starts, splits = np.concatenate(self._starts), np.concatenate(self._splits)
            one, other = ((int(starts[run]), SPLITS[splits[run]]) for run in pair)
            name = quote(objects[pair[0]].as_py())
            if one[1] != other[1]:
                found = f"object {name} in {one[1]} (row {one[0]}) and {other[1]} (row {other[0]})"
                raise TableError(found, "every object in one split")
            found = f"rows of object {name} apart: rows from {one[0]}, and from {other[0]}"
            raise TableError(found, "an object's rows adjacent, in the order of detection")
        candids = np.concatenate(self._candids)
        pair = _first_repeated(candids)
        if pair is not None:
            rows = np.concatenate(self._candid_rows)
            found = f"candid {candids[pair[0]]} in row {rows[pair[0]]} and row {rows[pair[1]]}"
            raise TableError(found, "every candid once")

    def _text(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """Return a column of short text, valid UTF-8."""
        column = batch.column(name)
        coded = isinstance(column, pa.DictionaryArray)
        # Of a dictionary first its values: a long one would be copied to every row.
        values = column.dictionary if coded else column
        longest = pc.max(pc.binary_length(values)).as_py() or 0
        if longest > _LONGEST_ID:
            raise TableError(f"{name} of {longest} bytes", f"at most {_LONGEST_ID}")
        try:
            values.validate(full=True)
        except pa.ArrowInvalid:
            raise TableError(f"{name} that is not UTF-8", "text") from None
        return column.cast(pa.string()) if coded else column

    def _check_values(self, batch: pa.RecordBatch) -> None:
        """Check the identity columns, each by itself."""
        classes = self._info.classes
        self._in_range(batch, "label", 0, len(classes) - 1, f" ({', '.join(classes)})")
        self._in_range(batch, "fid", *_FILTERS)
        self._in_range(batch, "mjd", *MJD_RANGE, " days")
        for name, least in (("n_copies", 1), ("detection", 0), ("candid", 0)):
            self._in_range(batch, name, least)
        candid = batch.column("candid")
        known = np.flatnonzero(candid.is_valid().to_numpy(zero_copy_only=False))
        self._candids.append(candid.drop_null().to_numpy())
        self._candid_rows.append(known + self._row)
        if self._info.held == "by_candid":
            lost = batch.column("has_stamps").to_numpy(zero_copy_only=False).copy()
            lost[known] = False
            expected = "the candid by which its stamps are looked up"
            self._refuse(batch, lost, lambda i: "has_stamps, and no candid,", expected)

    def _in_range(
        self, batch: pa.RecordBatch, name: str, low: float, high: float = np.inf, unit: str = ""
    ) -> None:
        column = batch.column(name)
        # What is null is in range.
        values = column.fill_null(pa.scalar(max(low, 0), column.type)).to_numpy()
        expected = f"{low:g} or more{unit}" if high == np.inf else f"{low:g} to {high:g}{unit}"
        # NaN is not in range.
        wrong = ~((values >= low) & (values <= high))
        self._refuse(batch, wrong, partial(_show, name, values), f"{name} {expected}")

    def _check_features(self, batch: pa.RecordBatch) -> None:
        unit = self._info.feature_unit
        for name in ALERCE_FEATURES.names:
            column = batch.column(name)
            if column.null_count == len(column):
                continue
            values = column.drop_null().to_numpy()
            if unit == "none":
                wrong, expected = np.ones(len(values), bool), "null with feature_unit none"
            elif not (np.isfinite(values.min()) and np.isfinite(values.max())):
                wrong, expected = ~np.isfinite(values), "finite numbers, null where there is none"
            elif unit == PHYSICAL:
                wrong = ALERCE_FEATURES.is_impossible(name, values)
                expected = ALERCE_FEATURES.describe_valid(name)
            else:
                continue
            if wrong.any():
                known = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
                self._refuse(
                    batch,
                    np.isin(np.arange(len(batch)), known[wrong]),
                    partial(_show, name, column),
                    expected,
                )

    def _check_order(self, batch: pa.RecordBatch, objects: pa.Array, split: np.ndarray) -> None:
        new = np.empty(len(batch), dtype=bool)
        new[0] = not self._starts or objects[0].as_py() != self._object
        new[1:] = pc.not_equal(objects[1:], objects[:-1]).to_numpy(zero_copy_only=False)
        before = np.concatenate([[self._split], split[:-1]])
        self._refuse(
            batch, ~new & (split != before),
            lambda i: f"split {SPLITS[split[i]]} after {SPLITS[before[i]]} of the same object",
            "every object in one split",
        )  # fmt: skip
        self._refuse(
            batch, split < before,
            lambda i: f"split {SPLITS[split[i]]} after {SPLITS[before[i]]}",
            f"rows ordered {', '.join(SPLITS)}",
        )  # fmt: skip
        detection = batch.column("detection").to_numpy()
        before = np.concatenate([[self._detection], detection[:-1]])
        self._refuse(
            batch, ~new & (detection <= before),
            lambda i: f"detection {detection[i]} after {before[i]}",
            "the detections of an object in ascending order, each once",
        )  # fmt: skip
        self._check_times(batch, new)
        if self._info.held == "by_candid":
            # The label is the object's; in the alerts' table it is the alert's.
            label = batch.column("label").fill_null(UNLABELLED).to_numpy()
            before = np.concatenate([[self._label], label[:-1]])
            self._refuse(
                batch, ~new & (label != before),
                lambda i: f"label {label[i]} after {before[i]} of the same object",
                "one label for every object",
            )  # fmt: skip
            self._label = int(label[-1])
        starts = np.flatnonzero(new)
        first = objects.take(pa.array(starts))
        shown = pc.and_(pc.utf8_is_printable(first), pc.greater(pc.binary_length(first), 0))
        unprintable = np.zeros(len(batch), dtype=bool)
        unprintable[starts] = ~shown.to_numpy(zero_copy_only=False)
        self._refuse(batch, unprintable, lambda i: "an object_id", "printable text, not empty")
        self._objects.append(first)
        self._starts.append(starts + self._row)
        self._splits.append(split[starts])
        self._split, self._detection = int(split[-1]), int(detection[-1])
        self._object = objects[-1].as_py()

    def _check_times(self, batch: pa.RecordBatch, new: np.ndarray) -> None:
        column = batch.column("mjd")
        known = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        run = np.cumsum(new)
        values = column.drop_null().to_numpy()
        # The run 0 goes on from the batch before.
        values_before = np.concatenate([[self._mjd], values[:-1]])[: len(values)]
        run_before = np.concatenate([[0], run[known][:-1]])[: len(values)]
        wrong = np.zeros(len(batch), dtype=bool)
        wrong[known] = (run[known] == run_before) & (values < values_before)
        self._refuse(
            batch, wrong,
            lambda i: f"mjd {column[i].as_py()} after {values_before[known == i][0]}",
            "the detections of an object in order of time",
        )  # fmt: skip
        if len(known) and run[known[-1]] == run[-1]:
            self._mjd = float(values[-1])
        elif run[-1]:
            self._mjd = -np.inf

    def _refuse(
        self, batch: pa.RecordBatch, wrong: np.ndarray, what: Callable[[int], str], expected: str
    ) -> None:
        if wrong.any():
            row = int(wrong.argmax())
            name = quote(batch.column("object_id")[row].as_py())
            raise TableError(f"{what(row)} in row {self._row + row} (object {name})", expected)


def _show(name: str, values: Sequence[object], row: int) -> str:
    return f"{name} {values[row]}"


def _first_repeated(values: np.ndarray) -> tuple[int, int] | None:
    """Return the places of the first two equal values in ascending order, if there are any."""
    order = np.argsort(values, kind="stable")
    equal = np.flatnonzero(values[order][1:] == values[order][:-1])
    if not len(equal):
        return None
    return int(order[equal[0]]), int(order[equal[0] + 1])

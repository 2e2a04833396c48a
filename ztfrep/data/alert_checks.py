"""Checks of the rows of an alert table, batch by batch, as they are written or read.

Memory does not grow with the pixels. Values that are compared across the table (an entry per
object, 16 bytes per candid) stay in memory until `finish`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ztfrep.data.alert_schema import MJD_RANGE, UNLABELLED, TableError, TableInfo
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.splits import SPLITS
from ztfrep.data.stamps import MAX_PIXEL
from ztfrep.errors import quote

_FILTERS = (1, 3)
_MAX_ID_BYTES = 64


class RowChecks:
    """Checks the rows of one table in their order.

    Call `check_rows` for every batch, `check_pixels` for its stamps, and `finish` once at the end.
    Each raises TableError for the first wrong row.
    """

    def __init__(self, info: TableInfo) -> None:
        self._info = info
        self._row = 0
        # Of the last row: the index of its split, its object, detection, the object's last mjd.
        self._split, self._object, self._detection = 0, "", -1
        self._mjd, self._label = -np.inf, UNLABELLED
        # Of the first row of every run of an object's rows.
        self._objects: list[pa.Array] = []
        self._starts: list[np.ndarray] = []
        self._splits: list[np.ndarray] = []
        self._candids: list[np.ndarray] = []
        self._candid_rows: list[np.ndarray] = []

    def check_rows(self, batch: pa.RecordBatch) -> None:
        """Check the columns of a batch other than `stamps`."""
        if not len(batch):
            return
        objects = self._short_text(batch, "object_id")
        split = self._short_text(batch, "split")
        batch = batch.set_column(batch.schema.get_field_index("object_id"), "object_id", objects)
        split_index = pc.index_in(split, pa.array(SPLITS)).fill_null(-1).to_numpy()
        self._refuse(
            batch, split_index < 0, lambda i: f"split {quote(split[i].as_py())}", ", ".join(SPLITS)
        )
        self._check_values(batch)
        self._check_features(batch)
        self._check_order(batch, objects, split_index)
        self._row += len(batch)

    def check_pixels(self, stamps: np.ndarray, rows: np.ndarray) -> None:
        """Check the stamps, float32 `(m, 3 H W)`, of the table's rows `(m,)`."""
        if not len(stamps):
            return
        # Both ignore NaN, and are NaN for stamps of NaN alone.
        high, low = np.fmax.reduce(stamps, axis=1), np.fmin.reduce(stamps, axis=1)
        wrong = (high >= MAX_PIXEL) | (low <= -MAX_PIXEL)
        if wrong.any():
            row = wrong.argmax()
            pixel = low[row] if low[row] <= -MAX_PIXEL else high[row]
            raise TableError(
                f"a pixel of {pixel:g} in row {rows[row]}",
                f"counts below {MAX_PIXEL:g}, NaN where not observed",
            )
        empty = np.isnan(high)
        if empty.any():
            raise TableError(
                f"stamps of NaN alone in row {rows[empty.argmax()]}",
                "null where no pixel is observed",
            )

    def finish(self) -> None:
        """Check the whole table: the rows of an object are adjacent, and candids are unique."""
        if not self._objects:
            return
        objects = pa.chunked_array(self._objects).combine_chunks()
        codes = objects.dictionary_encode().indices.to_numpy()
        pair = _first_repeated(codes)
        if pair is not None:
            starts, splits = np.concatenate(self._starts), np.concatenate(self._splits)
            row, other_row = (int(starts[i]) for i in pair)
            split, other_split = (SPLITS[splits[i]] for i in pair)
            name = quote(objects[pair[0]].as_py())
            if split != other_split:
                found = f"object {name} in {split} (row {row}) and {other_split} (row {other_row})"
                raise TableError(found, "every object in one split")
            found = f"rows of object {name} apart: rows from {row}, and from {other_row}"
            raise TableError(found, "an object's rows adjacent, in the order of detection")
        candids = np.concatenate(self._candids)
        pair = _first_repeated(candids)
        if pair is not None:
            rows = np.concatenate(self._candid_rows)
            found = f"candid {candids[pair[0]]} in row {rows[pair[0]]} and row {rows[pair[1]]}"
            raise TableError(found, "every candid once")

    def _short_text(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """Return a column of short text; raises TableError if it is long or not valid UTF-8."""
        column = batch.column(name)
        is_dictionary = isinstance(column, pa.DictionaryArray)
        # The values of a dictionary are checked before it is decoded: a long one would be copied to
        # every row.
        values = column.dictionary if is_dictionary else column
        longest = pc.max(pc.binary_length(values)).as_py() or 0
        if longest > _MAX_ID_BYTES:
            raise TableError(f"{name} of {longest} bytes", f"at most {_MAX_ID_BYTES}")
        try:
            values.validate(full=True)
        except pa.ArrowInvalid:
            raise TableError(f"{name} that is not UTF-8", "text") from None
        return column.cast(pa.string()) if is_dictionary else column

    def _check_values(self, batch: pa.RecordBatch) -> None:
        """Check the identity columns, each by itself."""
        classes = self._info.classes
        self._check_range(batch, "label", 0, len(classes) - 1, f" ({', '.join(classes)})")
        self._check_range(batch, "fid", *_FILTERS)
        self._check_range(batch, "mjd", *MJD_RANGE, " days")
        for name, minimum in (("n_copies", 1), ("detection", 0), ("candid", 0)):
            self._check_range(batch, name, minimum)
        candid = batch.column("candid")
        rows = np.flatnonzero(candid.is_valid().to_numpy(zero_copy_only=False))
        self._candids.append(candid.drop_null().to_numpy())
        self._candid_rows.append(rows + self._row)
        if self._info.stamp_location == "by_candid":
            wrong = batch.column("has_stamps").to_numpy(zero_copy_only=False).copy()
            wrong[rows] = False
            expected = "the candid by which its stamps are looked up"
            self._refuse(batch, wrong, lambda i: "has_stamps, and no candid,", expected)

    def _check_range(
        self, batch: pa.RecordBatch, name: str, low: float, high: float = np.inf, unit: str = ""
    ) -> None:
        column = batch.column(name)
        # Null is in range.
        values = column.fill_null(pa.scalar(max(low, 0), column.type)).to_numpy()
        expected = f"{low:g} or more{unit}" if high == np.inf else f"{low:g} to {high:g}{unit}"
        # NaN is not in range.
        wrong = ~((values >= low) & (values <= high))
        self._refuse(batch, wrong, partial(_format_value, name, values), f"{name} {expected}")

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
                wrong, expected = ~np.isfinite(values), "finite numbers, null where missing"
            elif unit == PHYSICAL:
                wrong = ALERCE_FEATURES.is_impossible(name, values)
                expected = ALERCE_FEATURES.describe_valid(name)
            else:
                continue
            if wrong.any():
                rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
                self._refuse(
                    batch,
                    np.isin(np.arange(len(batch)), rows[wrong]),
                    partial(_format_value, name, column),
                    expected,
                )

    def _check_order(self, batch: pa.RecordBatch, objects: pa.Array, split: np.ndarray) -> None:
        # The first row of an object.
        is_first = np.empty(len(batch), dtype=bool)
        is_first[0] = not self._starts or objects[0].as_py() != self._object
        is_first[1:] = pc.not_equal(objects[1:], objects[:-1]).to_numpy(zero_copy_only=False)
        previous = np.concatenate([[self._split], split[:-1]])
        self._refuse(
            batch, ~is_first & (split != previous),
            lambda i: f"split {SPLITS[split[i]]} after {SPLITS[previous[i]]} of the same object",
            "every object in one split",
        )  # fmt: skip
        self._refuse(
            batch, split < previous,
            lambda i: f"split {SPLITS[split[i]]} after {SPLITS[previous[i]]}",
            f"rows ordered {', '.join(SPLITS)}",
        )  # fmt: skip
        detection = batch.column("detection").to_numpy()
        previous = np.concatenate([[self._detection], detection[:-1]])
        self._refuse(
            batch, ~is_first & (detection <= previous),
            lambda i: f"detection {detection[i]} after {previous[i]}",
            "the detections of an object in ascending order, each once",
        )  # fmt: skip
        self._check_times(batch, is_first)
        if self._info.stamp_location == "by_candid":
            # The label is the object's; in the stamps table it is the alert's.
            label = batch.column("label").fill_null(UNLABELLED).to_numpy()
            previous = np.concatenate([[self._label], label[:-1]])
            self._refuse(
                batch, ~is_first & (label != previous),
                lambda i: f"label {label[i]} after {previous[i]} of the same object",
                "one label for every object",
            )  # fmt: skip
            self._label = int(label[-1])
        starts = np.flatnonzero(is_first)
        first = objects.take(pa.array(starts))
        printable = pc.and_(pc.utf8_is_printable(first), pc.greater(pc.binary_length(first), 0))
        unprintable = np.zeros(len(batch), dtype=bool)
        unprintable[starts] = ~printable.to_numpy(zero_copy_only=False)
        self._refuse(batch, unprintable, lambda i: "an object_id", "printable text, not empty")
        self._objects.append(first)
        self._starts.append(starts + self._row)
        self._splits.append(split[starts])
        self._split, self._detection = int(split[-1]), int(detection[-1])
        self._object = objects[-1].as_py()

    def _check_times(self, batch: pa.RecordBatch, is_first: np.ndarray) -> None:
        column = batch.column("mjd")
        rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        run = np.cumsum(is_first)
        values = column.drop_null().to_numpy()
        # Run 0 is that of the last object of the previous batch.
        previous = np.concatenate([[self._mjd], values[:-1]])[: len(values)]
        previous_run = np.concatenate([[0], run[rows][:-1]])[: len(values)]
        wrong = np.zeros(len(batch), dtype=bool)
        wrong[rows] = (run[rows] == previous_run) & (values < previous)
        self._refuse(
            batch, wrong,
            lambda i: f"mjd {column[i].as_py()} after {previous[rows == i][0]}",
            "the detections of an object in order of time",
        )  # fmt: skip
        if len(rows) and run[rows[-1]] == run[-1]:
            self._mjd = float(values[-1])
        elif run[-1]:
            self._mjd = -np.inf

    def _refuse(
        self,
        batch: pa.RecordBatch,
        wrong: np.ndarray,
        describe: Callable[[int], str],
        expected: str,
    ) -> None:
        if wrong.any():
            row = int(wrong.argmax())
            name = quote(batch.column("object_id")[row].as_py())
            raise TableError(f"{describe(row)} in row {self._row + row} (object {name})", expected)


def _format_value(name: str, values: Sequence[object], row: int) -> str:
    return f"{name} {values[row]}"


def _first_repeated(values: np.ndarray) -> tuple[int, int] | None:
    """Return the indices of the first two equal values, in ascending order, or None."""
    order = np.argsort(values, kind="stable")
    equal = np.flatnonzero(values[order][1:] == values[order][:-1])
    if not len(equal):
        return None
    return int(order[equal[0]]), int(order[equal[0] + 1])

"""The schema of the alert tables: columns, types and schema metadata.

A row is an alert: one detection with its three stamps and its metadata. Rows are ordered by split
(train, validation, test), then by object (an object's rows are adjacent), then by `detection`, so
that a table can be streamed.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, ZSCORED_UNKNOWN
from ztfrep.data.stamps import CROP
from ztfrep.errors import quote

CLASSES = ("AGN", "SN", "VS", "asteroid", "bogus")
# The classes of the published series.
SERIES_CLASSES = CLASSES[:3]
CHANNELS = ("science", "template", "difference")
UNLABELLED = -1

# Units of the pixels of a table; each is an affine scaling of counts.
SCALINGS = ("counts", "minmax", "unknown")
FEATURE_UNITS = (PHYSICAL, ZSCORED_UNKNOWN, "none")
# Location of the stamps: in the rows of the table, or in the rows of the stamps table of the same
# candid.
STAMP_LOCATIONS = ("inline", "by_candid")
FORMAT = "ztfrep-alerts-4"
# Rows of a row group of a table.
ROW_GROUP = 1000
# Valid `mjd`, days: 1858 to 2132. A Julian date is outside.
MJD_RANGE = (0.0, 100_000.0)
# Bounds of the height and width of a stamp in pixels: the crop of a network, and what memory holds
# for several rows.
MIN_STAMP_SIDE, MAX_STAMP_SIDE = CROP, 1024

IDENTITY: tuple[tuple[str, pa.DataType, bool], ...] = (
    # name, type, nullable; mjd in days
    ("object_id", pa.string(), False),
    ("candid", pa.int64(), True),
    ("mjd", pa.float64(), True),
    ("fid", pa.int8(), True),
    ("detection", pa.int32(), False),
    ("split", pa.string(), False),
    ("label", pa.int8(), True),
    ("n_copies", pa.int32(), False),
    ("has_stamps", pa.bool_(), False),
)
METADATA: tuple[tuple[str, pa.DataType, bool], ...] = tuple(
    # Positions need more than float32's seven digits.
    (name, pa.float64() if name in ("ra", "dec") else pa.float32(), True)
    for name in ALERCE_FEATURES.names
)
# Every column but the stamps.
SCALAR_COLUMNS = tuple(name for name, _, _ in (*IDENTITY, *METADATA))
_NAMES = tuple(name for name, _, _ in (*IDENTITY, ("stamps", None, None), *METADATA))


class TableError(ValueError):
    """A row or a schema that is not valid in an alert table; has `found` and `expected`."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found = found
        self.expected = expected


@dataclass(frozen=True)
class TableInfo:
    """The size of stamps in pixels, their scaling, the unit of the features, and the classes.

    With `stamp_location` "by_candid" the column `stamps` is null: the stamps are in the stamps
    table, in the row of the same candid.
    """

    height: int
    width: int
    scaling: str
    feature_unit: str
    classes: tuple[str, ...] = CLASSES
    stamp_location: str = STAMP_LOCATIONS[0]

    def schema(self) -> pa.Schema:
        """Return the Arrow schema, with this information in its metadata."""
        tensor = pa.fixed_shape_tensor(pa.float32(), [len(CHANNELS), self.height, self.width])
        columns = (*IDENTITY, ("stamps", tensor, True), *METADATA)
        metadata = {
            "format": FORMAT,
            "channels": ",".join(CHANNELS),
            "scaling": self.scaling,
            "feature_unit": self.feature_unit,
            "classes": ",".join(self.classes),
            "stamp_location": self.stamp_location,
        }
        return pa.schema([pa.field(n, t, nullable=null) for n, t, null in columns], metadata)

    @property
    def pixels_per_row(self) -> int:
        """Number of pixels of a row, all channels together."""
        return len(CHANNELS) * self.height * self.width

    def rows_per_batch(self, max_bytes: int) -> int:
        """Return the number of rows whose stamps have at most `max_bytes`; at least 1."""
        return max(1, max_bytes // (4 * self.pixels_per_row))

    def validate(self) -> None:
        """Raise TableError for a value that no table may have."""
        for name, value, allowed in (
            ("scaling", self.scaling, SCALINGS),
            ("feature_unit", self.feature_unit, FEATURE_UNITS),
            ("stamp_location", self.stamp_location, STAMP_LOCATIONS),
        ):
            if value not in allowed:
                raise TableError(f"{name} {quote(value)}", f"one of {', '.join(allowed)}")
        if not self.classes or self.classes != CLASSES[: len(self.classes)]:
            raise TableError(
                f"classes {quote(','.join(self.classes), 80)}",
                f"{','.join(CLASSES)}, or the first of these",
            )
        for side in (self.height, self.width):
            if not MIN_STAMP_SIDE <= side <= MAX_STAMP_SIDE:
                raise TableError(
                    f"stamps of {self.height} x {self.width} pixels",
                    f"{MIN_STAMP_SIDE} to {MAX_STAMP_SIDE} pixels a side",
                )


def stamps_to_numpy(column: pa.Array, info: TableInfo) -> np.ndarray:
    """Return the stamps of a column that are not null: float32 `(m, 3, H, W)`."""
    storage = column.storage
    size = info.pixels_per_row
    # `flatten` would drop null rows, and `values` ignores the offset of a slice.
    values = storage.values.slice(storage.offset * size, len(storage) * size)
    stamps = values.to_numpy(zero_copy_only=False)
    stamps = stamps.reshape(-1, len(CHANNELS), info.height, info.width)
    if storage.null_count:
        stamps = stamps[storage.is_valid().to_numpy(zero_copy_only=False)]
    return stamps


def parse_schema(schema: pa.Schema) -> TableInfo:
    """Return the TableInfo of a schema; raises TableError if it is not that of an alert table."""
    metadata = {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for key, value in (schema.metadata or {}).items()
    }
    if metadata.get("format") != FORMAT:
        value = metadata.get("format")
        raise TableError(f"format {value if value is None else quote(value)}", repr(FORMAT))
    for name in ("channels", "scaling", "feature_unit", "classes", "stamp_location"):
        if name not in metadata:
            raise TableError(f"no {name} in the schema's metadata", f"metadata with {name}")
    if metadata["channels"] != ",".join(CHANNELS):
        raise TableError(f"channels {quote(metadata['channels'], 80)[1:-1]}", ",".join(CHANNELS))
    _check_names(schema.names)
    tensor = schema.field("stamps").type
    expected = f"fixed_shape_tensor of float, shape ({len(CHANNELS)}, height, width)"
    if not isinstance(tensor, pa.FixedShapeTensorType):
        raise TableError(f"stamps of type {quote(str(tensor), 80)}", expected)
    if len(tensor.shape) != 3 or tensor.shape[0] != len(CHANNELS):
        raise TableError(f"stamps of shape {quote(str(tensor.shape), 80)}", expected)
    info = TableInfo(
        tensor.shape[1],
        tensor.shape[2],
        metadata["scaling"],
        metadata["feature_unit"],
        # A valid value is shorter.
        tuple(metadata["classes"][:100].split(",")),
        metadata["stamp_location"],
    )
    info.validate()
    for field, expected_field in zip(schema, info.schema(), strict=True):
        if not field.equals(expected_field):
            found = f"column {field.name} of type {quote(_describe_type(field), 80)}"
            raise TableError(found, _describe_type(expected_field))
    return info


def _check_names(names: list[str]) -> None:
    wrong = [f"no column {name}" for name in _NAMES if name not in names]
    wrong += [f"a column {quote(name)}" for name in names if name not in _NAMES]
    wrong += [f"column {name} twice" for name in _NAMES if names.count(name) > 1]
    if not wrong and tuple(names) != _NAMES:
        column = next(i for i, name in enumerate(names) if name != _NAMES[i])
        wrong = [f"{names[column]} as column {column}"]
    if wrong:
        raise TableError(wrong[0], f"the {len(_NAMES)} columns {_NAMES[0]}, ... {_NAMES[-1]}")


def _describe_type(field: pa.Field) -> str:
    return str(field.type) if field.nullable else f"{field.type} not null"

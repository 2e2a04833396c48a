"""The schema of the alert tables: columns, types, and the metadata that says what they hold.

A row is an alert: one detection with its three stamps and its metadata. Rows are ordered by split
(train, validation, test), then by object (an object's rows are adjacent), then by `detection`, so
that a reader may stream.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, ZSCORED_UNKNOWN
from ztfrep.data.stamps import CROP
from ztfrep.errors import quote

CLASSES = ("AGN", "SN", "VS", "asteroid", "bogus")
# The published series hold these three, and their network has as many outputs.
SERIES_CLASSES = CLASSES[:3]
CHANNELS = ("science", "template", "difference")
UNLABELLED = -1

# How the pixels of a table relate to counts; each is an affine scaling of them.
SCALINGS = ("counts", "minmax", "unknown")
FEATURE_UNITS = (PHYSICAL, ZSCORED_UNKNOWN, "none")
# Where the stamps of a table's rows are: in the rows, or in the stamps table under their candid.
STAMP_LOCATIONS = ("inline", "by_candid")
FORMAT = "ztfrep-alerts-4"
ROW_GROUP = 1000
# Of `mjd`, days: 1858 to 2132. A Julian date is beyond.
MJD_RANGE = (0.0, 100_000.0)
# Height and width of a stamp in pixels: no smaller than the crop of a network, no larger than
# memory allows for some rows together.
SMALLEST_STAMP, LARGEST_STAMP = CROP, 1024

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


def is_time(mjd: np.ndarray) -> np.ndarray:
    """Return True for dates `(n,)`, days, within `MJD_RANGE`; False for NaN."""
    inside: np.ndarray = (mjd >= MJD_RANGE[0]) & (mjd <= MJD_RANGE[1])
    return inside


class TableError(ValueError):
    """Rows or a schema that an alert table must not have: what was found, what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found = found
        self.expected = expected


@dataclass(frozen=True)
class TableInfo:
    """What a table holds: stamp size in pixels, their scaling, the features' unit, the classes.

    With `stamp_location` "by_candid" the column `stamps` is null: the stamps are in the stamps
    table, under the candid of the row.
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
    def pixels(self) -> int:
        """Number of pixels of a row, over all channels."""
        return len(CHANNELS) * self.height * self.width

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
            if not SMALLEST_STAMP <= side <= LARGEST_STAMP:
                raise TableError(
                    f"stamps of {self.height} x {self.width} pixels",
                    f"{SMALLEST_STAMP} to {LARGEST_STAMP} pixels a side",
                )


def parse_schema(schema: pa.Schema) -> TableInfo:
    """Return what a table of this schema holds; raises TableError if it is not an alert table."""
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
        # No right value is as long.
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

"""The columns of catalogues, and what their schema says of the rows."""

import json
from dataclasses import dataclass

import pyarrow as pa

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.encoders.reference import ANOMALY_TERMS, CLASS_ENTROPY, NEIGHBOUR_DISTANCE

FORMAT = "ztfrep-catalogue-1"
ALERTS, OBJECTS = "alerts", "objects"
PROBABILITY = "probability_"
# mjd in days, magnitudes in mag, positions in degrees.
_ALERT_COLUMNS = (
    ("object_id", pa.string()),
    ("candid", pa.int64()),
    ("mjd", pa.float64()),
    ("fid", pa.int8()),
    ("magpsf", pa.float32()),
    ("ra", pa.float64()),
    ("dec", pa.float64()),
)
_OBJECT_COLUMNS = (
    ("object_id", pa.string()),
    ("mjd", pa.float64()),
    ("n_alerts", pa.int32()),
    ("n_observations", pa.int32()),
)
# The true class and the split of a row of an alert table; null where it has none.
_LABEL_COLUMNS = (("class", pa.string()), ("split", pa.string()))
# Observations in time order: detections have magpsf, upper limits diffmaglim alone.
LIGHT_CURVE = pa.list_(
    pa.struct(
        [
            ("mjd", pa.float64()),
            ("fid", pa.int8()),
            ("magpsf", pa.float32()),
            ("sigmapsf", pa.float32()),
            ("diffmaglim", pa.float32()),
        ]
    )
)
SCORES = ("anomaly_score", *ANOMALY_TERMS)
_OBJECT_SCORES = ("anomaly_score", NEIGHBOUR_DISTANCE, CLASS_ENTROPY)


@dataclass(frozen=True)
class CatalogueInfo:
    """What the rows of a catalogue are, and the model that computed them.

    Attributes
    ----------
    rows : str
        "alerts" or "objects".
    classes : tuple of str
    vector_length : int
    model : str
        Checksums of the weights; see `Encoder.checksum`.
    version : str
        The version of ztfrep that wrote it.
    preview_size : int or None
        Height and width in pixels of the previews of stamps; None without previews.
    labelled : bool
        Rows have a true class and a split, where the alert table has them. Packets have neither.
    """

    rows: str
    classes: tuple[str, ...]
    vector_length: int
    model: str
    version: str
    preview_size: int | None = None
    labelled: bool = False

    def schema(self) -> pa.Schema:
        """Return the Arrow schema, with this information in its metadata."""
        is_alerts = self.rows == ALERTS
        columns = [
            *(_ALERT_COLUMNS if is_alerts else _OBJECT_COLUMNS),
            *(_LABEL_COLUMNS if self.labelled else ()),
            *((f"{PROBABILITY}{name}", pa.float32()) for name in self.classes),
            *((name, pa.float32()) for name in (SCORES if is_alerts else _OBJECT_SCORES)),
            ("vector", pa.list_(pa.float32(), self.vector_length)),
        ]
        if not is_alerts:
            columns.append(("light_curve", LIGHT_CURVE))
        if self.preview_size is not None:
            shape = [len(CHANNELS), self.preview_size, self.preview_size]
            tensor = pa.fixed_shape_tensor(pa.uint8(), shape)
            columns.append(("preview", tensor))
        metadata = {
            "format": FORMAT,
            "rows": self.rows,
            "classes": json.dumps(self.classes),
            "vector_length": str(self.vector_length),
            "model": self.model,
            "ztfrep": self.version,
        }
        return pa.schema(columns, metadata)

    @property
    def probability_columns(self) -> list[str]:
        """Names of the columns of class probabilities."""
        return [f"{PROBABILITY}{name}" for name in self.classes]

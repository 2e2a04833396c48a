"""Rows of catalogues: predictions for alerts and for objects, as Arrow tables."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

import ztfrep
from ztfrep.catalogues.catalogue_schema import (
    ALERTS,
    LIGHT_CURVE,
    OBJECTS,
    PROBABILITY,
    CatalogueInfo,
)
from ztfrep.data.alert_schema import UNLABELLED
from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.stamp_previews import make_previews
from ztfrep.encoders.encoder import Encoder
from ztfrep.encoders.predictions import Predictions
from ztfrep.sources.packets.packet_reader import PacketBatch

_LIGHT_CURVE_COLUMNS = tuple(field.name for field in LIGHT_CURVE.value_type)
_POSITION = ("magpsf", "ra", "dec")


def alert_info(
    encoder: Encoder, preview_size: int | None = None, *, labelled: bool = False
) -> CatalogueInfo:
    """Return the information of a catalogue of the alerts that an encoder reads."""
    return CatalogueInfo(
        rows=ALERTS,
        classes=tuple(encoder.classes),
        vector_length=encoder.network.config.latent_dim,
        model=encoder.checksum,
        version=ztfrep.__version__,
        preview_size=preview_size,
        labelled=labelled,
    )


def object_info(encoder: Encoder, *, labelled: bool = False) -> CatalogueInfo:
    """Return the information of a catalogue of objects; the encoder has a network for them."""
    network = encoder.require_object_network()
    return CatalogueInfo(
        rows=OBJECTS,
        classes=tuple(encoder.object_classes),
        vector_length=network.config.hidden,
        model=encoder.checksum,
        version=ztfrep.__version__,
        labelled=labelled,
    )


def alerts_of_batch(batch: PacketBatch) -> Alerts:
    """Return the alerts of decoded packets, with metadata as those of a table.

    Features are rounded to float32, but for the position.
    """
    observations = batch.alerts
    position = ALERCE_FEATURES.columns(("ra", "dec"))
    metadata = observations.metadata.astype(np.float32).astype(np.float64)
    metadata[:, position] = observations.metadata[:, position]
    identity = pd.DataFrame(
        {
            "object_id": batch.object_id,
            "candid": observations.candid,
            "mjd": observations.mjd,
            "fid": observations.fid,
        }
    )
    return Alerts(identity, batch.stamps, metadata, PHYSICAL)


def alert_rows(
    encoder: Encoder,
    alerts: Alerts,
    predictions: Predictions,
    *,
    previews: bool,
    classes: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of alerts, with previews of their stamps, which are square then, or not.

    `classes` are the names of the column `label` of the alerts' identity, which has a column
    `split` too then: those of an alert table.
    """
    size = alerts.stamps.shape[-1] if previews else None
    info = alert_info(encoder, size, labelled=classes is not None)
    identity = alerts.identity
    columns: dict[str, object] = {
        name: identity[name] for name in ("object_id", "candid", "mjd", "fid") if name in identity
    }
    if alerts.feature_unit == PHYSICAL:
        columns |= {n: alerts.metadata[:, ALERCE_FEATURES.index(n)] for n in _POSITION}
    if classes is not None:
        columns |= _label_columns(identity["label"], identity["split"], classes)
    columns |= _prediction_columns(info, predictions)
    if previews:
        columns["preview"] = preview_column(make_previews(alerts.stamps))
    return _table(info, columns, len(alerts))


def object_rows(
    encoder: Encoder,
    observations: Iterable[pd.DataFrame],
    vectors: np.ndarray,
    classes: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """Yield the rows of objects, a table for each frame of observations.

    A frame has the columns of `ztfrep.data.alerts.Alerts.history` for some objects, sorted by
    object and time; `alert` is the row in `vectors`, float32 `(n, d)`, which may be on disk. With
    `classes`, it has `label` and `split` too; of an object they are those of most observations.
    """
    info = object_info(encoder, labelled=classes is not None)
    for frame in observations:
        alert = frame["alert"].to_numpy()
        has_vector = alert >= 0
        # Copied, so that only the vectors of these objects are in memory.
        local = np.array(vectors[alert[has_vector]])
        index = np.where(has_vector, np.cumsum(has_vector) - 1, -1)
        ids, predictions = encoder.predict_objects(frame.assign(alert=index), local)
        by_object = frame.assign(has_vector=has_vector).groupby("object_id", sort=True)
        sizes = by_object.size()
        columns: dict[str, object] = {
            "object_id": ids,
            "mjd": by_object["mjd"].max().to_numpy(),
            "n_alerts": by_object["has_vector"].sum().to_numpy(),
            "n_observations": sizes.to_numpy(),
            "light_curve": _light_curves(frame, np.cumsum([0, *sizes])),
            **_prediction_columns(info, predictions),
        }
        if classes is not None:
            labels, splits = (_most_frequent(frame, name, ids) for name in ("label", "split"))
            columns |= _label_columns(labels, splits, classes)
        yield _table(info, columns, len(ids))


def preview_column(previews: np.ndarray) -> pa.Array:
    """Return previews uint8 `(n, 3, H, W)` as a column."""
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(previews))


def _prediction_columns(info: CatalogueInfo, predictions: Predictions) -> dict[str, object]:
    flat = pa.array(predictions.vectors.ravel(), pa.float32())
    return {
        **{
            f"{PROBABILITY}{name}": predictions.probabilities[:, column]
            for column, name in enumerate(info.classes)
        },
        "anomaly_score": predictions.anomaly_score,
        **predictions.anomaly_terms,
        "vector": pa.FixedSizeListArray.from_arrays(flat, info.vector_length),
    }


def _label_columns(
    labels: pd.Series, splits: pd.Series, classes: Sequence[str]
) -> dict[str, object]:
    names = [classes[int(label)] if 0 <= label < len(classes) else None for label in labels]
    return {"class": names, "split": splits}


def _most_frequent(frame: pd.DataFrame, name: str, ids: np.ndarray) -> pd.Series:
    """Return the most frequent value of each object, the lowest of several, by its id.

    Labels of -1 do not count, unless there are no others.
    """
    known = frame[frame["label"] != UNLABELLED] if name == "label" else frame
    sizes = known.groupby(["object_id", name]).size().rename("size").reset_index()
    best = sizes.sort_values(["size", name], ascending=[False, True]).groupby("object_id").first()
    values = best[name].reindex(ids)
    return values.fillna(UNLABELLED) if name == "label" else values


def _light_curves(frame: pd.DataFrame, offsets: np.ndarray) -> pa.ListArray:
    fields = [
        pa.array(frame[field.name], field.type, from_pandas=True)
        for field in LIGHT_CURVE.value_type
    ]
    points = pa.StructArray.from_arrays(fields, list(_LIGHT_CURVE_COLUMNS))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), points)


def _table(info: CatalogueInfo, columns: dict[str, object], rows: int) -> pa.Table:
    """Return a table with the schema of a catalogue; columns that are absent are null."""
    schema = info.schema()
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            values = pa.nulls(rows, field.type)
        elif not isinstance(values, pa.Array):
            # NaN is null.
            values = pa.array(values, field.type, from_pandas=True)
        arrays.append(values)
    return pa.Table.from_arrays(arrays, schema=schema)

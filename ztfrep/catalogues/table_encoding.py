"""Encoding of an alert table into a catalogue of alerts and one of objects."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from ztfrep.catalogues.catalogue import objects_path, write_catalogue
from ztfrep.catalogues.catalogue_rows import alert_info, alert_rows, object_info, object_rows
from ztfrep.catalogues.packet_encoding import EncodingCounts
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alerts import Alerts
from ztfrep.data.files import replacing
from ztfrep.encoders.encoder import Encoder
from ztfrep.errors import InputError

_OBJECTS_PER_FRAME = 512


def encode_table(
    encoder: Encoder, table: AlertTable, out: str | Path, *, previews: bool = True
) -> EncodingCounts:
    """Encode an alert table into a catalogue of alerts at `out` and one of objects beside it.

    See `ztfrep.catalogues.packet_encoding.encode_packets`. Raises InputError for a table without
    stamps.
    """
    out = Path(out)
    index, unit, classes = table.index(), _usable_unit(encoder, table), table.info.classes
    if not len(index):
        raise InputError(
            table.path,
            found="no row with stamps",
            expected="alerts",
            remedy="give a table with stamps",
        )
    height, width = table.info.height, table.info.width
    size = height if previews and height == width else None
    vectors = np.empty((len(index), encoder.network.config.latent_dim), np.float32)

    def rows() -> Iterator[pa.Table]:
        start = 0
        with tqdm(desc="encode", total=len(index), unit=" alerts", disable=None) as bar:
            for batch in table.batches():
                chunk = slice(start, start + len(batch.stamps))
                alerts = Alerts(index.iloc[chunk], batch.stamps, batch.metadata, unit)
                predictions = encoder.predict(alerts)
                vectors[chunk] = predictions.vectors
                yield alert_rows(
                    encoder, alerts, predictions, previews=size is not None, classes=classes
                )
                bar.update(len(alerts))
                start = chunk.stop

    with replacing(out) as temporary:
        n_alerts = write_catalogue(temporary, alert_info(encoder, size, labelled=True), rows())
    if encoder.object_network is None:
        return EncodingCounts(n_alerts, n_alerts, 0, 0, 0, [out])
    frames = _split_objects(table.observations())
    with replacing(objects_path(out)) as temporary:
        n_objects = write_catalogue(
            temporary,
            object_info(encoder, labelled=True),
            object_rows(encoder, frames, vectors, classes),
        )
    return EncodingCounts(n_alerts, n_alerts, n_objects, 0, 0, [out, objects_path(out)])


def _usable_unit(encoder: Encoder, table: AlertTable) -> str:
    """Return the unit of a table's metadata, or "none", with a warning, if it is ignored."""
    trained = encoder.network.preprocessing.feature_scaling.unit
    if table.feature_unit in (trained, "none") or "features" not in encoder.network.modalities:
        return table.feature_unit
    logging.warning(
        "%s: the metadata is in unit %s and the network was trained on unit %s: it is ignored",
        table.path, table.feature_unit, trained,
    )  # fmt: skip
    return "none"


def _split_objects(observations: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the observations of 512 objects at a time, sorted by object."""
    ids, row = np.unique(observations["object_id"].to_numpy(dtype=str), return_inverse=True)
    order = np.argsort(row, kind="stable")
    bounds = np.append(np.arange(0, len(ids), _OBJECTS_PER_FRAME), len(ids))
    ends = np.searchsorted(row[order], bounds)
    for start, end in zip(ends[:-1], ends[1:], strict=True):
        yield observations.iloc[order[start:end]].reset_index(drop=True)

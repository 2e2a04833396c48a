"""Predictions of a batch of packets as a table, with the encoder of a model folder."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

import ztfrep
from ztfrep.catalogues.kafka_stream import PredictBatch
from ztfrep.catalogues.prediction_records import PROBABILITY_PREFIX
from ztfrep.data.alerts import Alerts
from ztfrep.encoders.encoder import Encoder, load
from ztfrep.sources.packets.packet_reader import PacketBatch


def load_predictor(folder: str | Path, *, device: str | None = None) -> PredictBatch:
    """Return the function of `process_stream` that predicts with a trained encoder; see `load`."""
    encoder = load(folder, device=device)
    metadata = {"model": str(folder), "version": ztfrep.__version__}
    return lambda batch: predict_packets(encoder, batch, metadata)


def predict_packets(encoder: Encoder, batch: PacketBatch, metadata: dict[str, str]) -> pa.Table:
    """Return a table of the m alerts of a batch, in order.

    Columns: `object_id`, `candid`, `mjd` (days), `fid` (null if unknown), `vector` (float32, d) and
    a float32 probability `p_CLASS` for each class. `metadata` is that of the table's schema.
    """
    alerts = alerts_of_packets(batch)
    vectors = encoder.encode(alerts)
    values = pa.array(vectors.reshape(-1))
    classes = encoder.classify(alerts)[encoder.classes]
    columns = {
        "object_id": pa.array(batch.object_id, pa.string()),
        "candid": pa.array(batch.alerts.candid, pa.int64()),
        "mjd": pa.array(batch.alerts.mjd, pa.float64()),
        "fid": pa.array(batch.alerts.fid, pa.int8(), from_pandas=True),
        "vector": pa.FixedSizeListArray.from_arrays(values, vectors.shape[1]),
        **{
            f"{PROBABILITY_PREFIX}{name}": pa.array(classes[name], pa.float32())
            for name in encoder.classes
        },
    }
    return pa.table(columns).replace_schema_metadata(metadata)


def alerts_of_packets(batch: PacketBatch) -> Alerts:
    """Return the alerts of a batch in memory, without the observations before them."""
    identity = pd.DataFrame(
        {
            "object_id": batch.object_id,
            "candid": batch.alerts.candid,
            "mjd": batch.alerts.mjd,
            "fid": batch.alerts.fid,
        }
    )
    return Alerts(identity, batch.stamps, batch.alerts.metadata)

"""Predictions for a batch of packets of a stream, with the encoder of a model folder."""

from pathlib import Path

import pyarrow as pa

from ztfrep.catalogues.catalogue_rows import alert_rows, alerts_of_batch
from ztfrep.encoders.encoder import load
from ztfrep.sources.packets.packet_reader import PacketBatch
from ztfrep.streams.kafka_stream import PredictBatch


def load_predictor(folder: str | Path | None, *, device: str | None = None) -> PredictBatch:
    """Return the function of `process_stream` that predicts with a trained encoder; see `load`.

    It returns the rows of a catalogue of alerts, without previews.
    """
    encoder = load(folder, device=device)

    def predict(batch: PacketBatch) -> pa.Table:
        alerts = alerts_of_batch(batch)
        return alert_rows(encoder, alerts, encoder.predict(alerts), previews=False)

    return predict

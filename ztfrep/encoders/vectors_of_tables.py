"""Files of vectors of whole tables: of single alerts, of series and of objects."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alerts import PHOTOMETRY
from ztfrep.data.chunks import chunks
from ztfrep.data.frames import look_up, read_frame, write_frame
from ztfrep.data.row_index import read_row_index, row_index_path, write_row_index
from ztfrep.data.splits import SPLITS
from ztfrep.data.vector_files import read_vectors
from ztfrep.data.vector_writer import assign_vectors, open_vectors_for_writing
from ztfrep.encoders.alert_batches import EncodedBatch, encode
from ztfrep.encoders.devices import choose_device, make_deterministic
from ztfrep.encoders.encoded_tables import encode_table
from ztfrep.encoders.model_folder import load_alert_network, load_object_network
from ztfrep.errors import InputError
from ztfrep.models.object.base import ObjectInput, ObjectNetwork
from ztfrep.models.object.observation_input import object_input


def encode_alert_table(
    table: Path, model: Path, output: Path, *, batch_size: int, precision: str, threads: int
) -> None:
    """Write one vector per row of the stamps table, in the order of the table: float32 `(n, d)`.

    The row index beside `output` has the orientation of each alert, which the decoder needs and the
    vectors do not contain.
    """
    _refuse_overwriting(output, table)
    alerts = AlertTable(table)
    index = alerts.identity()
    index["row"] = index.groupby("split").cumcount()
    size, encoded = _encode(alerts, model, batch_size, precision, threads)
    orientations = np.zeros(len(index), np.int8)
    with open_vectors_for_writing(output, index, (size,), "<f4", "<i8") as splits:
        vectors = _collect_orientations(encoded, orientations)
        assign_vectors(splits, vectors, index["split"].to_numpy(), index["row"].to_numpy())
    index["orientation"] = orientations
    write_row_index(output, index)


def encode_series_table(
    table: Path,
    model: Path,
    alert_vectors: Path,
    output: Path,
    observations: Path,
    *,
    batch_size: int,
    precision: str,
    threads: int,
) -> None:
    """Write one row per object: its vectors in time order, zero-padded.

    The vectors are float64 `(objects, steps, d)`. If the stamps of the table are in the stamps
    table, they are read from `alert_vectors`, the output of `encode_alert_table`; else they are
    computed. `observations` is the path of a table that is written with all observations: the `row`
    of the object, the `step` of the vector (-1 without one), mjd, fid and magnitudes.
    """
    _refuse_overwriting(output, table)
    series = AlertTable(table)
    rows = series.identity()
    # Prior detections and upper limits have no stamps, and no vector.
    alerts = rows[rows["has_stamps"]].reset_index(drop=True)
    objects = alerts.groupby("object_id", sort=False).agg(
        split=("split", "first"), label=("label", "first"), length=("detection", "size")
    )
    objects["row"] = objects.groupby("split").cumcount()
    row = objects["row"].loc[alerts["object_id"]].to_numpy()
    step = alerts.groupby("object_id").cumcount().to_numpy()
    size, encoded = (
        _encode(series, model, batch_size, precision, threads)
        if series.info.stamp_location == "inline"
        else _look_up_vectors(alerts, alert_vectors)
    )
    orientations = np.zeros(len(alerts), np.int64)
    index = objects.reset_index()
    index.attrs["classes"] = list(series.info.classes)
    shape = (int(index["length"].max()), size)
    with open_vectors_for_writing(output, index, shape, "<f8", "<f8") as splits:
        vectors = _collect_orientations(encoded, orientations)
        assign_vectors(splits, vectors, alerts["split"].to_numpy(), row, step)
    alerts["orientation"] = orientations
    by_object = alerts.groupby("object_id", sort=False)["orientation"]
    index["orientations"] = by_object.agg(list).to_numpy()
    write_row_index(output, index)
    _write_observations(observations, series, rows, objects["row"])


def encode_object_series(
    series: Path, observations: Path, model: Path, output: Path, *, precision: str, threads: int
) -> None:
    """Write one vector per object, in the order of the series file: float32 `(objects, d)`.

    Raises InputError if the vectors of the series have another length than the network's input.
    """
    make_deterministic(threads)
    device = choose_device()
    network, card = load_object_network(model)
    network.to(device)
    parts, table = read_vectors(series), read_frame(observations)
    size = parts["test"].vectors.shape[2]
    if size != card.input_dim:
        raise InputError(
            series,
            found=f"vectors of {size} numbers",
            expected=f"{card.input_dim}, as {model} was trained on",
            remedy="run dvc repro, which trains it on these vectors",
        )
    index = read_row_index(series)
    with open_vectors_for_writing(output, index, (card.config.hidden,), "<f4", "<i8") as splits:
        for split, part in parts.items():
            own = table[table["split"] == split].sort_values("row", kind="stable")
            # The observations of object i are the rows from start i to start i + 1.
            starts = np.searchsorted(own["row"], np.arange(len(part.labels) + 1))
            for rows in chunks(len(part.labels), f"objects {split}"):
                of_chunk = own.iloc[starts[rows.start] : starts[rows.stop]]
                of_chunk = of_chunk.assign(row=of_chunk["row"] - rows.start)
                batch = _object_input(of_chunk, part.vectors[rows], network).to(device)
                splits[split].vectors[rows] = encode(network, batch, precision)
    write_row_index(output, index)


def read_object_inputs(
    series: Path, observations: Path, network: ObjectNetwork, splits: Sequence[str] = SPLITS
) -> dict[str, ObjectInput]:
    """Read the input of a network of objects by split: series and their observations."""
    table = read_frame(observations)
    parts = read_vectors(series)
    return {
        split: _object_input(table[table["split"] == split], parts[split].vectors, network)
        for split in splits
    }


def _object_input(
    observations: pd.DataFrame, vectors: np.ndarray, network: ObjectNetwork
) -> ObjectInput:
    return object_input(
        observations,
        vectors,
        max_observations=network.config.max_observations,
        all_observations=network.reads_all_observations,
    )


def _refuse_overwriting(output: Path, table: Path) -> None:
    """Raise ValueError if the row index of `output` would be written over the table."""
    if row_index_path(output).resolve() == table.resolve():
        raise ValueError(f"{output}: its row index would overwrite {table}; choose another name")


def _encode(
    alerts: AlertTable, model: Path, batch_size: int, precision: str, threads: int
) -> tuple[int, Iterator[EncodedBatch]]:
    """Return the length of a vector, and an iterator of encoded batches in table order."""
    make_deterministic(threads)
    device = choose_device()
    network, card = load_alert_network(model)
    network.to(device)

    def batches() -> Iterator[EncodedBatch]:
        total = int(alerts.has_stamps().sum())
        with tqdm(total=total, desc="encode", unit=" alerts", disable=None) as bar:
            for batch in encode_table(network, alerts, batch_size, precision, threads):
                yield batch
                bar.update(len(batch.vectors))

    return card.config.latent_dim, batches()


def _look_up_vectors(alerts: pd.DataFrame, path: Path) -> tuple[int, Iterator[EncodedBatch]]:
    """Return the length of a vector, and the vectors of alerts that are in the stamps table."""
    splits, index = read_vectors(path), read_row_index(path)
    matched = look_up(
        alerts, "candid", index, same=["object_id", "split"], source=str(row_index_path(path))
    )
    row = matched["row"].to_numpy()
    vectors = np.empty((len(alerts), splits["train"].vectors.shape[1]), np.float32)
    for split, part in splits.items():
        mask = (alerts["split"] == split).to_numpy()
        vectors[mask] = part.vectors[row[mask]]
    return vectors.shape[1], iter([EncodedBatch(vectors, matched["orientation"].to_numpy())])


def _collect_orientations(
    encoded: Iterator[EncodedBatch], orientations: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the vectors of each batch, and assign its orientations to the array `(n,)`.

    A list of them would keep a small array per batch, between which the freed memory of the batches
    is lost: 2 kB an alert.
    """
    start = 0
    for batch in encoded:
        orientations[start : start + len(batch.orientations)] = batch.orientations
        start += len(batch.orientations)
        yield batch.vectors


def _write_observations(
    path: Path, series: AlertTable, rows: pd.DataFrame, row_of_object: pd.Series
) -> None:
    table = rows[["split", "detection", "mjd", "fid"]].copy()
    table["row"] = row_of_object.loc[rows["object_id"]].to_numpy()
    step = rows.groupby("object_id")["has_stamps"].cumsum() - 1
    table["step"] = np.where(rows["has_stamps"], step, -1)
    for name, values in zip(PHOTOMETRY, series.features(PHOTOMETRY).T, strict=True):
        table[name] = values
    write_frame(path, table)

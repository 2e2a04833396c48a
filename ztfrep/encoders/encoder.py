"""Trained encoders, which compute vectors, class probabilities and reconstructions of alerts."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

import ztfrep
from ztfrep.data.alerts import Alerts, AlertSource
from ztfrep.encoders.alert_batches import encode, input_batches, map_batches
from ztfrep.encoders.devices import choose_device
from ztfrep.encoders.model_folder import (
    CARD,
    load_alert_network,
    load_object_network,
    model_checksum,
    read_model_reference,
)
from ztfrep.encoders.object_batches import batches_of_objects, object_series
from ztfrep.encoders.predictions import (
    NetworkOutputs,
    Predictions,
    alert_outputs,
    concatenate_outputs,
    object_outputs,
    predict,
)
from ztfrep.encoders.reference import Reference
from ztfrep.errors import InputError
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.object.base import ObjectInput, ObjectNetwork
from ztfrep.models.object.observation_input import object_input

# Folders of the two networks in a model folder.
ALERT_FOLDER, OBJECT_FOLDER = "autoencoder", "recurrent"
# The released encoder.
RELEASED = Path(ztfrep.__file__).parent / "released"


def load(folder: str | Path | None = None, *, device: str | None = None) -> "Encoder":
    """Load a trained encoder.

    Parameters
    ----------
    folder : path, optional
        The folder with `autoencoder/` and, for vectors of objects, `recurrent/`; or the folder of
        an autoencoder. By default the released encoder, which is part of the package: README.md in
        `ztfrep/released` is its model card.
    device : str, optional
        `cpu`, `cuda` or `cuda:N`; by default a GPU if there is one.

    Raises
    ------
    InputError
        If a file is missing or broken, or if files are of different runs. No code in them is run.
    """
    torch_device = choose_device(device)
    folder = RELEASED if folder is None else Path(folder)
    alert_folder = folder if (folder / CARD).is_file() else folder / ALERT_FOLDER
    network, card = load_alert_network(alert_folder)
    alerts = Trained(
        network,
        card.classes,
        read_model_reference(alert_folder, card),
        model_checksum(alert_folder),
    )
    objects: Trained[ObjectNetwork] | None = None
    object_folder = folder / OBJECT_FOLDER
    if alert_folder != folder and object_folder.is_dir():
        object_network, object_card = load_object_network(object_folder)
        if object_card.input_dim != card.config.latent_dim:
            raise InputError(
                object_folder,
                found=f"a network of vectors of {object_card.input_dim} numbers",
                expected=f"vectors of {card.config.latent_dim}, as {alert_folder} computes them",
                remedy="train both together: dvc repro",
            )
        objects = Trained(
            object_network,
            object_card.classes,
            read_model_reference(object_folder, object_card),
            model_checksum(object_folder),
        )
    return Encoder(alerts, objects, device=torch_device)


Network = TypeVar("Network", AlertNetwork, ObjectNetwork)


class Trained(NamedTuple, Generic[Network]):
    """A trained network with the names of its classes, its reference and its checksum.

    The reference is None for a folder that an earlier version wrote.
    """

    network: Network
    classes: list[str]
    reference: Reference | None
    checksum: str


class Encoder:
    """Trained networks with their preprocessing; see `load`.

    The argument `alerts` of the methods is an `Alerts` (of `ztfrep.read_packets` or
    `Alerts.from_arrays`) or an alert table (of `ztfrep.read_table`). Results have one row for each
    alert that has stamps, in the order of the alerts, unless described otherwise.

    Attributes
    ----------
    network, object_network : AlertNetwork, ObjectNetwork or None
    classes, object_classes : list of str
        The classes of alerts and of objects.
    reference, object_reference : Reference or None
        What new alerts and objects are compared with, for calibrated probabilities and scores.
    checksum : str
        Checksums of the weights of both networks.
    """

    def __init__(
        self,
        alerts: Trained[AlertNetwork],
        objects: Trained[ObjectNetwork] | None = None,
        *,
        device: torch.device,
        batch_size: int = 128,
    ) -> None:
        self.network = alerts.network.to(device).eval()
        self.classes = alerts.classes
        self.reference = alerts.reference
        self.object_network = objects.network.to(device).eval() if objects else None
        self.object_classes = objects.classes if objects else []
        self.object_reference = objects.reference if objects else None
        self.checksum = " ".join(part.checksum for part in (alerts, objects) if part)
        self.device = device
        self.batch_size = batch_size

    def encode(self, alerts: AlertSource, *, progress: bool = False) -> np.ndarray:
        """Return the vectors of alerts, float32 `(n, d)`.

        With `progress`, a progress bar is drawn. Raises ValueError if no alert has stamps.
        """
        return self._collect(alerts, self._vectors, progress)

    def encode_stamps(
        self,
        stamps: np.ndarray,
        metadata: Mapping[str, np.ndarray] | pd.DataFrame | None = None,
    ) -> np.ndarray:
        """Return the vectors of raw arrays, float32 `(n, d)`; see `Alerts.from_arrays`.

        `stamps` is `(n, 3, H, W)` in counts: science, template, difference. `metadata` has columns
        `(n,)` by ZTF name in physical units; columns that are absent are masked.
        """
        return self.encode(Alerts.from_arrays(stamps, metadata))

    def encode_objects(
        self, alerts: AlertSource, *, progress: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of the alerts' objects, str `(m,)`, and their vectors, float32 `(m, d)`.

        The ids are in ascending order. The vector of an object is computed from all of its
        observations: alerts, prior detections and upper limits. Raises InputError if the model
        folder has no network of objects.
        """
        vectors = self.encode(alerts, progress=progress)
        ids, batches = self.object_batches(alerts.observations(), vectors)
        network = self.require_object_network()
        return ids, np.concatenate([encode(network, batch, "float32") for batch in batches])

    def predict(self, alerts: AlertSource, *, progress: bool = False) -> Predictions:
        """Return vectors, calibrated class probabilities and anomaly scores of n alerts.

        Raises ValueError if no alert has stamps, and InputError if the model has no reference.
        """
        reference = _require(self.reference)
        with tqdm(unit=" alerts", disable=None if progress else True) as bar:

            def outputs() -> Iterator[NetworkOutputs]:
                for batch in map_batches(
                    self.network, alerts, self.batch_size, partial(alert_outputs, self.network)
                ):
                    yield batch
                    bar.update(len(batch.vectors))

            return predict(concatenate_outputs(outputs()), reference)

    def predict_objects(
        self, observations: pd.DataFrame, vectors: np.ndarray
    ) -> tuple[np.ndarray, Predictions]:
        """Return the ids of m objects, ascending, and the predictions for them.

        `observations` has the columns of `Alerts.history`, and `vectors` `(n, d)` are those of the
        alerts. Raises InputError if the model has no network of objects or no reference.
        """
        ids, batches = self.object_batches(observations, vectors)
        network = self.require_object_network()
        outputs = concatenate_outputs(object_outputs(network, batch) for batch in batches)
        return ids, predict(outputs, _require(self.object_reference))

    def object_batches(
        self, observations: pd.DataFrame, vectors: np.ndarray
    ) -> tuple[np.ndarray, Iterator[ObjectInput]]:
        """Return the ids of m objects and batches of the network's input for them, in order.

        See `predict_objects`.
        """
        network = self.require_object_network()
        ids, observations, series = object_series(observations, vectors)
        objects = object_input(
            observations,
            series,
            max_observations=network.config.max_observations,
            all_observations=network.reads_all_observations,
        )
        return ids, (batch.to(self.device) for _, batch in batches_of_objects(objects))

    def classify(self, alerts: AlertSource, *, progress: bool = False) -> pd.DataFrame:
        """Return a table of calibrated class probabilities `(n, classes)`, one column per class.

        The first columns are `object_id` and `candid`, if the alerts have them. Raises InputError
        if the model has no reference.
        """
        values = self.predict(alerts, progress=progress).probabilities
        index = alerts.index()
        ids = index[[name for name in ("object_id", "candid") if name in index]]
        table = pd.DataFrame(values, columns=self.classes)
        return pd.concat([ids.reset_index(drop=True), table], axis=1)

    def reconstruct(
        self, alerts: AlertSource, *, denoised: bool = False, progress: bool = False
    ) -> np.ndarray:
        """Return the reconstructed crops, float32 `(n, 3, 21, 21)`.

        Their scale is that of `scaled_stamps`, not counts; their orientation is that of the stamps.
        With `denoised` they approximate the stamps without noise; raises InputError if the network
        has no such output.
        """

        def pixels(batch: AlertInput) -> torch.Tensor:
            vectors, orientation = self._vectors(batch), self.network.orientation(batch)
            if not denoised:
                return self.network.decode(vectors, orientation)
            result = self.network.denoise(vectors, orientation)
            if result is None:
                raise InputError(
                    "the autoencoder",
                    found="no output of denoised stamps",
                    expected="a network that denoises, as the architecture invariant does",
                    remedy="leave out denoised, or load such a network",
                )
            return result

        return self._collect(alerts, pixels, progress)

    def scaled_stamps(self, alerts: AlertSource) -> tuple[np.ndarray, np.ndarray]:
        """Return the scaled crops that `reconstruct` approximates, and the mask of observed pixels.

        They are float32 and bool, `(n, 3, 21, 21)` each; pixels that were not observed are 0.
        """
        batches = list(input_batches(self.network, alerts, self.batch_size))
        return (
            np.concatenate([batch.pixels.cpu().numpy() for batch in batches]),
            np.concatenate([batch.pixel_mask.cpu().numpy() for batch in batches]),
        )

    def _vectors(self, batch: AlertInput) -> torch.Tensor:
        return torch.from_numpy(encode(self.network, batch, "float32")).to(self.device)

    def _collect(
        self, alerts: AlertSource, compute: Callable[[AlertInput], torch.Tensor], progress: bool
    ) -> np.ndarray:
        """Return the results of `compute` on all batches of alerts, concatenated."""

        def results() -> Iterator[np.ndarray]:
            with tqdm(unit=" alerts", disable=None if progress else True) as bar:
                for result in map_batches(
                    self.network,
                    alerts,
                    self.batch_size,
                    lambda batch: compute(batch).float().cpu(),
                ):
                    yield result.numpy()
                    bar.update(len(result))

        batches = list(results())
        if not batches:
            raise ValueError("no alerts with stamps")
        return np.concatenate(batches)

    def require_object_network(self) -> ObjectNetwork:
        """Return the network of objects; raises InputError if the model folder has none."""
        if self.object_network is None:
            raise InputError(
                "the model folder",
                found="a network of alerts alone",
                expected=f"a network of objects in a folder {OBJECT_FOLDER} beside {ALERT_FOLDER}",
                remedy="train it with dvc repro, or load the folder that has both",
            )
        return self.object_network


def _require(reference: Reference | None) -> Reference:
    if reference is None:
        raise InputError(
            "the model folder",
            found="no reference.safetensors",
            expected="the reference that training writes, for probabilities and anomaly scores",
            remedy="train it again with dvc repro",
        )
    return reference

"""Trained encoders, which compute vectors, class probabilities and reconstructions of alerts."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ztfrep.data.alerts import Alerts, AlertSource
from ztfrep.encoders.alert_batches import encode, input_batches
from ztfrep.encoders.devices import choose_device
from ztfrep.encoders.model_folder import CARD, load_alert_network, load_object_network
from ztfrep.encoders.object_batches import batches_of_objects, object_series
from ztfrep.errors import InputError
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.object.base import ObjectNetwork
from ztfrep.models.object.observation_input import object_input

# Folders of the two networks in a model folder.
ALERT_FOLDER, OBJECT_FOLDER = "autoencoder", "recurrent"


def load(folder: str | Path = "data/models", *, device: str | None = None) -> "Encoder":
    """Load a trained encoder.

    Parameters
    ----------
    folder : path
        The folder with `autoencoder/` and, for vectors of objects, `recurrent/`; or the folder of
        an autoencoder.
    device : str, optional
        `cpu`, `cuda` or `cuda:N`; by default a GPU if there is one.

    Raises
    ------
    InputError
        If a file is missing or broken, or if files are of different runs. No code in them is run.
    """
    torch_device = choose_device(device)
    folder = Path(folder)
    alert_folder = folder if (folder / CARD).is_file() else folder / ALERT_FOLDER
    network, card = load_alert_network(alert_folder)
    objects: tuple[ObjectNetwork, list[str]] | None = None
    if alert_folder != folder and (folder / OBJECT_FOLDER).is_dir():
        object_network, object_card = load_object_network(folder / OBJECT_FOLDER)
        if object_card.input_dim != card.config.latent_dim:
            raise InputError(
                folder / OBJECT_FOLDER,
                found=f"a network of vectors of {object_card.input_dim} numbers",
                expected=f"vectors of {card.config.latent_dim}, as {alert_folder} computes them",
                remedy="train both together: dvc repro",
            )
        objects = object_network, object_card.classes
    return Encoder(network, card.classes, objects, device=torch_device)


class Encoder:
    """Trained networks with their preprocessing; see `load`.

    The argument `alerts` of the methods is an `Alerts` (of `ztfrep.read_packets` or
    `Alerts.from_arrays`) or an alert table (of `ztfrep.read_table`). Results have one row for each
    alert that has stamps, in the order of the alerts, unless described otherwise.
    """

    def __init__(
        self,
        network: AlertNetwork,
        classes: list[str],
        objects: tuple[ObjectNetwork, list[str]] | None = None,
        *,
        device: torch.device,
        batch_size: int = 128,
    ) -> None:
        self.network = network.to(device).eval()
        self.classes = classes
        self.object_network = objects[0].to(device).eval() if objects else None
        self.object_classes = objects[1] if objects else []
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
        network = self._require_object_network()
        vectors = self.encode(alerts, progress=progress)
        ids, observations, series = object_series(alerts, vectors)
        objects = object_input(
            observations,
            series,
            max_observations=network.config.max_observations,
            all_observations=network.reads_all_observations,
        )
        encoded = [
            encode(network, batch.to(self.device), "float32")
            for _, batch in batches_of_objects(objects)
        ]
        return ids, np.concatenate(encoded)

    def classify(self, alerts: AlertSource, *, progress: bool = False) -> pd.DataFrame:
        """Return a table of class probabilities `(n, classes)`, one column per class.

        The first columns are `object_id` and `candid`, if the alerts have them.
        """

        def probabilities(batch: AlertInput) -> torch.Tensor:
            return self.network.classify(self._vectors(batch)).double().softmax(dim=1)

        values = self._collect(alerts, probabilities, progress)
        index = alerts.index()
        ids = index[[name for name in ("object_id", "candid") if name in index]]
        table = pd.DataFrame(values, columns=self.classes)
        return pd.concat([ids.reset_index(drop=True), table], axis=1)

    def reconstruct(self, alerts: AlertSource, *, progress: bool = False) -> np.ndarray:
        """Return the reconstructed crops, float32 `(n, 3, 21, 21)`.

        Their scale is that of `scaled_stamps`, not counts; their orientation is that of the stamps.
        """

        def pixels(batch: AlertInput) -> torch.Tensor:
            return self.network.decode(self._vectors(batch), self.network.orientation(batch))

        return self._collect(alerts, pixels, progress)

    def scaled_stamps(self, alerts: AlertSource) -> tuple[np.ndarray, np.ndarray]:
        """Return the scaled crops that `reconstruct` approximates, and the mask of observed pixels.

        They are float32 and bool, `(n, 3, 21, 21)` each; pixels that were not observed are 0.
        """
        batches = list(input_batches(self.network, alerts, self.batch_size))
        return (
            np.concatenate([batch.pixels.numpy() for batch in batches]),
            np.concatenate([batch.pixel_mask.numpy() for batch in batches]),
        )

    def _vectors(self, batch: AlertInput) -> torch.Tensor:
        return torch.from_numpy(encode(self.network, batch, "float32")).to(self.device)

    def _collect(
        self, alerts: AlertSource, compute: Callable[[AlertInput], torch.Tensor], progress: bool
    ) -> np.ndarray:
        """Return the results of `compute` on all batches of alerts, concatenated."""

        def results() -> Iterator[np.ndarray]:
            with tqdm(unit=" alerts", disable=None if progress else True) as bar:
                for batch in input_batches(self.network, alerts, self.batch_size):
                    with torch.inference_mode():
                        yield compute(batch.to(self.device)).float().cpu().numpy()
                    bar.update(len(batch.pixels))

        batches = list(results())
        if not batches:
            raise ValueError("no alerts with stamps")
        return np.concatenate(batches)

    def _require_object_network(self) -> ObjectNetwork:
        if self.object_network is None:
            raise InputError(
                "the model folder",
                found="a network of alerts alone",
                expected=f"a network of objects in a folder {OBJECT_FOLDER} beside {ALERT_FOLDER}",
                remedy="train it with dvc repro, or load the folder that has both",
            )
        return self.object_network

"""A trained encoder: alerts in, vectors, classes and reconstructions out."""

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
from ztfrep.encoders.object_batches import object_series
from ztfrep.errors import InputError
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.object.base import ObjectNetwork
from ztfrep.models.object.observation_input import object_input

ALERTS, OBJECTS = "autoencoder", "recurrent"
_OBJECTS_PER_BATCH = 512


def load(folder: str | Path = "data/models", *, device: str | None = None) -> "Encoder":
    """Load a trained encoder.

    Parameters
    ----------
    folder : path
        The folder that holds `autoencoder/` and, for vectors of objects, `recurrent/`; or the
        folder of an autoencoder alone.
    device : str, optional
        `cpu`, `cuda` or `cuda:N`; by default a GPU if there is one.

    Raises
    ------
    InputError
        If a file is missing, broken, or not what it was written with. Nothing in it is executed.
    """
    torch_device = choose_device(device)
    folder = Path(folder)
    alerts = folder if (folder / CARD).is_file() else folder / ALERTS
    network, card = load_alert_network(alerts)
    objects: tuple[ObjectNetwork, list[str]] | None = None
    if alerts != folder and (folder / OBJECTS).is_dir():
        object_network, object_card = load_object_network(folder / OBJECTS)
        if object_card.input_dim != card.config.latent_dim:
            raise InputError(
                folder / OBJECTS,
                found=f"a network of vectors of {object_card.input_dim} numbers",
                expected=f"vectors of {card.config.latent_dim}, as {alerts} computes them",
                remedy="train both together: dvc repro",
            )
        objects = object_network, object_card.classes
    return Encoder(network, card.classes, objects, device=torch_device)


class Encoder:
    """Trained networks with their preprocessing; see `load`.

    Every method takes `Alerts` (of `ztfrep.read_packets` or `Alerts.from_arrays`) or an alert table
    (of `ztfrep.read_table`), and returns a row for each alert that has stamps, in their order.
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
        """Return the vector of each alert, float32 `(n, d)`; `progress` draws a bar."""
        return self._collect(alerts, self._vectors, progress)

    def encode_stamps(
        self,
        stamps: np.ndarray,
        metadata: Mapping[str, np.ndarray] | pd.DataFrame | None = None,
    ) -> np.ndarray:
        """Return the vectors of raw arrays, float32 `(n, d)`; see `Alerts.from_arrays`.

        `stamps` `(n, 3, H, W)` in counts: science, template, difference. `metadata` has columns
        `(n,)` by ZTF name in physical units; what is missing is unknown to the network.
        """
        return self.encode(Alerts.from_arrays(stamps, metadata))

    def encode_objects(
        self, alerts: AlertSource, *, progress: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids `(m,)` of the alerts' objects, in ascending order, and vectors `(m, d)`.

        An object's vector is that of its observations so far: alerts, prior detections and upper
        limits. Raises InputError if the model folder holds no network of objects.
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
            encode(network, objects.rows(rows).to(self.device), "float32")
            for rows in torch.arange(len(ids)).split(_OBJECTS_PER_BATCH)
        ]
        return ids, np.concatenate(encoded)

    def classify(self, alerts: AlertSource, *, progress: bool = False) -> pd.DataFrame:
        """Return a table of class probabilities, one column per class.

        Columns of the alerts' identity that name them (`object_id`, `candid`) come first.
        """

        def probabilities(batch: AlertInput) -> torch.Tensor:
            return self.network.classify(self._vectors(batch)).double().softmax(dim=1)

        values = self._collect(alerts, probabilities, progress)
        index = alerts.index()
        names = index[[name for name in ("object_id", "candid") if name in index]]
        table = pd.DataFrame(values, columns=self.classes)
        return pd.concat([names.reset_index(drop=True), table], axis=1)

    def reconstruct(self, alerts: AlertSource, *, progress: bool = False) -> np.ndarray:
        """Return the reconstructed crops, float32 `(n, 3, 21, 21)`.

        They are in the scale of `scaled_stamps`, not in counts, and in the orientation of the
        alert.
        """

        def pixels(batch: AlertInput) -> torch.Tensor:
            return self.network.decode(self._vectors(batch), self.network.orientation(batch))

        return self._collect(alerts, pixels, progress)

    def scaled_stamps(self, alerts: AlertSource) -> tuple[np.ndarray, np.ndarray]:
        """Return the crops that `reconstruct` approximates, and the mask of observed pixels.

        float32 and bool `(n, 3, 21, 21)`; pixels that were not observed are 0.
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
        """Return what `compute` makes of each batch of alerts, concatenated."""

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
                expected=f"one of objects too, in a folder {OBJECTS} beside {ALERTS}",
                remedy="train it with dvc repro, or give the folder that holds both",
            )
        return self.object_network

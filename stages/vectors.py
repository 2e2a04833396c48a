"""The vectors of a table's alerts, streamed through the trained autoencoder."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from stages.device import start
from stages.inputs import alert_inputs
from stages.paths import AUTOENCODER
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders import model_folder as checkpoints
from ztfrep.encoders.batches import encode
from ztfrep.encoders.cards import AutoencoderCard
from ztfrep.models.alert import losses as autoencoder
from ztfrep.params import Params


class Encoded(NamedTuple):
    """Vectors `(m, d)` of alerts, and the poses `(m,)` that their stamps lie in."""

    vectors: np.ndarray
    poses: np.ndarray


def alert_vectors(table: AlertTable, params: Params) -> tuple[int, Iterator[Encoded]]:
    """Give the length of a vector, and the alerts encoded, batch by batch in table order.

    Rows without stamps have no vector.
    """
    device = start(params)
    model, card = checkpoints.load_model(AUTOENCODER, autoencoder.build, AutoencoderCard)
    model.to(device)

    def stream() -> Iterator[Encoded]:
        inputs = alert_inputs(table, card.rescale, card.features, params.encode.batch_size)
        with tqdm(
            total=int(table.has_stamps().sum()), desc="encode", unit=" alerts", disable=None
        ) as bar:
            for alerts in inputs:
                vectors = encode(model, alerts, device, params.precision)
                yield Encoded(
                    vectors, model.poses(*(part.to(device) for part in alerts)).cpu().numpy()
                )
                bar.update(len(vectors))

    return card.sizes.latent_dim, stream()


def noting(encoded: Iterator[Encoded], poses: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Pass the vectors on, and append the poses to `poses`."""
    for batch in encoded:
        poses.append(batch.poses)
        yield batch.vectors

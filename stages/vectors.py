"""The vectors of a table's alerts, streamed through the trained autoencoder."""

from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from stages.fitting import start
from stages.paths import AUTOENCODER
from ztfrep import checkpoints
from ztfrep.alerts import AlertTable
from ztfrep.encoding import encode
from ztfrep.models import autoencoder
from ztfrep.params import Params
from ztfrep.stamps import prepare


def alert_vectors(table: AlertTable, params: Params) -> tuple[int, Iterator[np.ndarray]]:
    """Give the length of a vector, and the vectors `(m, d)` batch by batch in table order.

    Rows without stamps have none.
    """
    device = start(params)
    model, card = checkpoints.load_model(AUTOENCODER, autoencoder.build)
    model.to(device)

    def stream() -> Iterator[np.ndarray]:
        with tqdm(
            total=int(table.has_stamps().sum()), desc="encode", unit=" alerts", disable=None
        ) as bar:
            for stamps in table.stamps(params.encode.batch_size):
                if not len(stamps):
                    continue
                pixels, _ = prepare(stamps, card["rescale"])
                yield encode(model, [torch.from_numpy(pixels)], device, params.precision)
                bar.update(len(stamps))

    return card["sizes"]["latent_dim"], stream()

"""A table's alerts as an autoencoder takes them."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from ztfrep.data import features
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.stamps import crop_and_context as two_scales
from ztfrep.data.stamps import crop_and_scale as prepare
from ztfrep.encoders.cards import FeatureScaling
from ztfrep.models.alert.base import AlertInput


def feature_scaling(
    table: AlertTable, train: np.ndarray, left_out: Sequence[str]
) -> FeatureScaling:
    """Describe the features' unit, their statistics over the train rows, and what is left out."""
    mean, std = features.statistics(_measured(table)[train])
    return FeatureScaling(
        unit=table.info.feature_unit,
        mean=mean.tolist(),
        std=std.tolist(),
        left_out=list(left_out),
    )


def alert_inputs(
    table: AlertTable, rescale: str, scaling: FeatureScaling, rows: int
) -> Iterator[AlertInput]:
    """Stream the alerts that have stamps, at most `rows` at a time, in table order.

    `scaling` is that of `feature_scaling`, of the table that a network was trained on. Features of
    another unit are left out, with a warning.
    """
    values = _measured(table)[table.has_stamps()]
    values[:, [features.NAMES.index(name) for name in scaling.left_out]] = np.nan
    if table.info.feature_unit != scaling.unit:
        if np.isfinite(values).any():
            logging.warning(
                "%s: features in %s, the network knows %s: stamps alone are used",
                table.path, table.info.feature_unit, scaling.unit,
            )  # fmt: skip
        values = np.full_like(values, np.nan)
    start = 0
    for stamps in table.stamps(rows):
        if not len(stamps):
            continue
        pixels, observed = prepare(stamps, rescale)
        here = values[start : start + len(stamps)]
        start += len(stamps)
        scaled = features.standardise(here, np.array(scaling.mean), np.array(scaling.std))
        yield AlertInput(
            torch.from_numpy(pixels),
            torch.from_numpy(observed),
            torch.from_numpy(two_scales(stamps)),
            torch.from_numpy(scaled.astype(np.float32)),
            torch.from_numpy(np.isfinite(here)),
        )


def _measured(table: AlertTable) -> np.ndarray:
    """Give the clipped features `(n, 26)`, NaN where nothing was measured."""
    values = table.clipped_features()
    if table.info.feature_unit == features.PHYSICAL:
        values = np.where(features.is_measured(values), values, np.nan)
    return values


def gathered(batches: Iterator[AlertInput]) -> AlertInput:
    """Bring batches together, images in the order of memory that convolutions are fastest in."""
    whole = AlertInput(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
    last = torch.channels_last
    return whole._replace(
        pixels=whole.pixels.contiguous(memory_format=last),
        views=whole.views.contiguous(memory_format=last),
    )

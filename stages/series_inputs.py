"""Objects as a recurrent network takes them: their epochs, some of which have a vector."""

import numpy as np
import pandas as pd
import torch

from stages.paths import ENCODED_SERIES, EPOCHS
from ztfrep.data.frames import read_frame
from ztfrep.data.vector_files import SplitVectors as Block
from ztfrep.data.vector_files import read_vectors as read_blocks
from ztfrep.models.object.base import PHOTOMETRY, TIMES, SeriesInput

# Magnitudes about those of a survey, so that a network need not learn their scale.
_CENTRES = {"magpsf": (19.0, 1.5), "sigmapsf": (0.1, 0.1), "diffmaglim": (20.0, 1.0)}
_FILTERS = (1, 2, 3)


def magnitude_scale() -> float:
    """Give the magnitudes that one unit of a network's magnitude is."""
    return _CENTRES["magpsf"][1]


def series_inputs(all_epochs: bool, most: int) -> dict[str, SeriesInput]:
    """Read the encoded series by split, at most the last `most` epochs of each object.

    Without `all_epochs` those that have a vector alone.
    """
    blocks, epochs = read_blocks(ENCODED_SERIES), read_frame(EPOCHS)
    if not all_epochs:
        epochs = epochs[epochs["step"] >= 0]
    return {
        split: _split_inputs(block, epochs[epochs["split"] == split], most)
        for split, block in blocks.items()
    }


def _split_inputs(block: Block, epochs: pd.DataFrame, most: int) -> SeriesInput:
    epochs = epochs.sort_values(["row", "detection"], kind="stable")
    # Days since the first detection are counted before earlier epochs are left out.
    days = epochs["mjd"] - epochs.groupby("row")["mjd"].transform("min")
    gaps = epochs.groupby("row")["mjd"].diff().where(days != 0, 0.0)
    recent = (epochs.groupby("row").cumcount(ascending=False) < most).to_numpy()
    epochs, days, gaps = epochs[recent], days[recent], gaps[recent]
    row, place = epochs["row"].to_numpy(), epochs.groupby("row").cumcount().to_numpy()
    lengths = np.bincount(row, minlength=len(block.labels))
    shape = (len(lengths), int(lengths.max(initial=1)))

    known = np.isfinite(days) & np.isfinite(gaps)
    times = np.stack([np.where(known, np.log1p(part.clip(lower=0)), 0) for part in (gaps, days)], 1)
    values = [(epochs[name] - c) / s for name, (c, s) in _CENTRES.items()]
    measured = np.stack([value.to_numpy(np.float64) for value in values], axis=1)
    fid = epochs["fid"].to_numpy(np.float64)
    photometry = np.concatenate(
        [np.nan_to_num(measured), np.isfinite(measured), fid[:, None] == _FILTERS], axis=1
    )
    step = epochs["step"].to_numpy()
    seen = step >= 0
    found = SeriesInput(
        torch.zeros(*shape, block.vectors.shape[2]),
        torch.zeros(shape, dtype=torch.bool),
        torch.zeros(*shape, TIMES),
        torch.zeros(*shape, PHOTOMETRY),
        torch.from_numpy(lengths.astype(np.int64)),
    )
    found.vectors.numpy()[row[seen], place[seen]] = block.vectors[row[seen], step[seen]]
    found.seen.numpy()[row, place] = seen
    found.times.numpy()[row, place] = np.column_stack([times, known])
    found.photometry.numpy()[row, place] = photometry
    return found

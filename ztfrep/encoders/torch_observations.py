"""Preprocessing of objects in torch, for graphs that contain it.

The result is that of `object_input`, which prepares a table by pandas.
"""

import math

import torch
from torch import Tensor

from ztfrep.models.object.base import FILTERS, SCALES, ObjectInput


def observations_to_input(
    vectors: Tensor,
    vector_mask: Tensor,
    mjd: Tensor,
    fid: Tensor,
    magnitudes: list[Tensor],
    lengths: Tensor,
    *,
    max_observations: int,
    all_observations: bool,
) -> ObjectInput:
    """Return the input of a network of n objects, as `object_input` does of a table.

    `vectors` is float32 `(n, steps, d)` with a row per observation, in time order; `vector_mask`
    bool, `mjd` (days), `fid` and `magnitudes` (magpsf, sigmapsf, diffmaglim) float64, all
    `(n, steps)`, NaN where unknown; `lengths` int64 `(n,)`. The number of steps stays as it is:
    `lengths` of the result says which are padding.
    """
    position = torch.arange(vector_mask.shape[1], device=lengths.device)
    vector_mask = vector_mask & (position < lengths[:, None])
    if not all_observations:
        # Observations without a vector are moved behind the others.
        order = torch.where(vector_mask, position, position + vector_mask.shape[1]).argsort(dim=1)
        lengths = vector_mask.sum(dim=1)
        vectors, vector_mask, mjd, fid, *magnitudes = (
            _take(part, order) for part in (vectors, vector_mask, mjd, fid, *magnitudes)
        )
    is_observation = position < lengths[:, None]
    times = _times(mjd, is_observation)
    # Times are computed before early observations are excluded, so that they are since the first.
    last = position + (lengths - max_observations).clamp(min=0)[:, None]
    last = last.clamp(max=vector_mask.shape[1] - 1)
    lengths = lengths.clamp(max=max_observations)
    vectors, vector_mask, times, fid, *magnitudes = (
        _take(part, last) for part in (vectors, vector_mask, times, fid, *magnitudes)
    )
    scaled = torch.stack(
        [
            (values - centre) / width
            for values, (centre, width) in zip(magnitudes, SCALES.values(), strict=True)
        ],
        dim=2,
    )
    is_known = scaled.abs() < math.inf
    filters = fid[:, :, None] == torch.tensor(FILTERS, dtype=fid.dtype, device=fid.device)
    photometry = [torch.where(is_known, scaled, 0.0), is_known.double(), filters.double()]
    is_observation = (position < lengths[:, None])[:, :, None]
    return ObjectInput(
        torch.where(vector_mask[:, :, None] & is_observation, vectors, 0.0),
        vector_mask & is_observation[:, :, 0],
        torch.where(is_observation, times, 0.0).float(),
        torch.where(is_observation, torch.cat(photometry, dim=2), 0.0).float(),
        lengths,
    )


def _times(mjd: Tensor, is_observation: Tensor) -> Tensor:
    """Return the times of observations float64 `(n, steps, 3)`; see `N_TIMES`."""
    known = torch.where(is_observation & (mjd.abs() < math.inf), mjd, math.inf)
    days = mjd - known.amin(dim=1, keepdim=True)
    position = torch.arange(mjd.shape[1], device=mjd.device)
    previous = mjd[:, (position - 1).clamp(min=0)]
    gaps = mjd - torch.where(position > 0, previous, math.nan)
    gaps = torch.where(days != 0, gaps, 0.0)
    # The comparisons are False for NaN.
    has_time = (days.abs() < math.inf) & (gaps.abs() < math.inf)
    parts = [torch.where(has_time, part, 0.0).clamp(min=0).log1p() for part in (gaps, days)]
    return torch.stack([*parts, has_time.double()], dim=2)


def _take(values: Tensor, steps: Tensor) -> Tensor:
    """Return the steps `(n, steps)` of values `(n, steps)` or `(n, steps, d)`."""
    if values.ndim == 2:
        return values.gather(1, steps)
    return values.gather(1, steps[:, :, None].expand(-1, -1, values.shape[2]))

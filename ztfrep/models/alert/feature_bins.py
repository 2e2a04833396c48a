"""The piecewise linear encoding of features (Gorishniy et al. 2022, NeurIPS, section 3.2)."""

import numpy as np
import torch
from torch import Tensor


def fit_bin_edges(features: Tensor, mask: Tensor, edges: Tensor) -> None:
    """Set edges `(features, bins + 1)` to quantiles of features `(n, features)` in the mask.

    The edges of a feature without a value stay as they are.
    """
    values = np.where(mask.cpu(), features.cpu(), np.nan)
    levels = np.linspace(0, 1, edges.shape[1])
    for column in np.flatnonzero(np.isfinite(values).any(axis=0)):
        edges[column] = torch.from_numpy(np.nanquantile(values[:, column], levels))


def encode_features(features: Tensor, mask: Tensor, edges: Tensor) -> Tensor:
    """Return the encoding of features, and their mask: `(n, features * (bins + 1))`."""
    low, high = edges[:, :-1], edges[:, 1:]
    fraction = (features[:, :, None] - low) / (high - low).clamp(min=1e-6)
    binned = (fraction.clamp(0, 1) * mask[:, :, None]).flatten(1)
    return torch.cat([binned, mask.float()], dim=1)

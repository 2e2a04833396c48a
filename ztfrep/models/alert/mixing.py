"""The orthogonal matrix that mixes the parts of a vector."""

import numpy as np
import torch
from torch import Tensor


def orthogonal_matrix(size: int) -> Tensor:
    """Return a random orthogonal matrix `(size, size)`, always the same.

    The numbers of a mixed vector have similar variances. Standardising them, as a search or a probe
    does, then changes distances little, and does not amplify components that are mostly noise.
    """
    normal = np.random.default_rng(0).normal(size=(size, size))
    matrix, _ = np.linalg.qr(normal)
    return torch.from_numpy(matrix).float()

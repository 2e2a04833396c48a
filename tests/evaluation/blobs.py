"""Random vectors of three classes at a distance."""

import numpy as np


def blobs(n, distance, seed=0, d=3):
    """Return vectors `(n, d)` and labels of three classes `distance` standard deviations apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = np.zeros((3, d))
    centres[[0, 1, 2], [0, 1, 2]] = distance / np.sqrt(2)
    return rng.normal(size=(n, d)) + centres[labels], labels

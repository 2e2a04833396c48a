"""Principal components of pixels, the baseline of vectors and reconstructions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.decomposition import PCA


@dataclass(frozen=True, eq=False)
class PixelPCA:
    """Principal components of pixels; masked pixels are replaced by the train rows' mean.

    Attributes
    ----------
    model : PCA
        Of pixels `(n, c * H * W)`.
    mean : float32 (c, H, W)
        Mean of the observed pixels.
    """

    model: "PCA"
    mean: np.ndarray

    @classmethod
    def fit(cls, pixels: np.ndarray, pixel_mask: np.ndarray, components: int) -> "PixelPCA":
        """Fit at most `components` components to n train rows `(n, c, H, W)`.

        There are at most n - 1 components: the variance of another one would be 0.
        """
        from sklearn.decomposition import PCA  # Slow to import.

        counts = pixel_mask.sum(axis=0)
        sums = np.where(pixel_mask, pixels, 0).sum(axis=0)
        mean = (sums / np.maximum(counts, 1)).astype(np.float32)
        filled = np.where(pixel_mask, pixels, mean).reshape(len(pixels), -1)
        components = min(components, max(1, len(filled) - 1), filled.shape[1])
        return cls(PCA(components, svd_solver="covariance_eigh").fit(filled), mean)

    def encode(self, pixels: np.ndarray, pixel_mask: np.ndarray) -> np.ndarray:
        """Return the components' scores of pixels `(n, c, H, W)`: float32 `(n, components)`."""
        filled = np.where(pixel_mask, pixels, self.mean).reshape(len(pixels), -1)
        scores: np.ndarray = self.model.transform(filled)
        return scores.astype(np.float32)

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return pixels `(n, c, H, W)` of scores `(n, components)`."""
        pixels: np.ndarray = self.model.inverse_transform(scores)
        return pixels.reshape(-1, *self.mean.shape)

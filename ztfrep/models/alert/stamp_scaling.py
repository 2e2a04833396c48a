"""Scaling of stamps for a network: crop around the alert, context, masks.

The functions take tensors on any device. `observed` is False for pixels that are not counts; these
are 0 in `stamps` and in every result.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ztfrep.data.stamps import CROP, MAX_PIXEL, SCALING_METHODS, crop


def mask_stamps(stamps: Tensor) -> tuple[Tensor, Tensor]:
    """Return stamps with 0 for pixels that are not counts, and the mask of the others.

    Pixels that are NaN, infinite or -3.4e38 are no counts.
    """
    # The comparison is False for NaN.
    observed = stamps.abs() < MAX_PIXEL
    return torch.where(observed, stamps, 0.0), observed


def crop_and_scale(stamps: Tensor, observed: Tensor, method: str) -> tuple[Tensor, Tensor]:
    """Crop stamps `(n, 3, H, W)`, then scale them; return pixels and mask `(n, 3, 21, 21)`.

    In this order: a bright source outside the crop must not compress the range inside it.
    """
    mask = crop(observed)
    return scale(crop(stamps), mask, method), mask


def crop_and_context(stamps: Tensor, observed: Tensor) -> Tensor:
    """Return crop and context of stamps `(n, 3, H, W)`: float32 `(n, 8, 21, 21)`.

    The three channels of the crop, then those of the whole stamp averaged to the same size, each
    as arcsinh((pixel - median) / MAD), 0 where not observed; then the fraction of the channels
    that is observed in the crop, and in the context. Stamps with a side of less than two crops have
    no context.
    """
    context, context_mask = _downsample(stamps, observed)
    pixels = torch.cat([crop(stamps), context], dim=1)
    mask = torch.cat([crop(observed), context_mask], dim=1)
    fractions = mask.float().unflatten(1, (2, -1)).mean(dim=2)
    return torch.cat([scale(pixels, mask, "asinh"), fractions], dim=1)


def scale(pixels: Tensor, observed: Tensor, method: str) -> Tensor:
    """Scale every channel of every stamp by its own observed pixels.

    `pixels` is float32 `(n, c, H, W)`. `minmax` maps the observed pixels to [0, 1]; `asinh` is
    arcsinh((pixel - median) / MAD), which preserves faint structure; neither changes under an
    affine scaling of the input. `none` leaves the pixels as they are. A channel without two
    different observed pixels becomes 0, but for `none`. Raises ValueError for an unknown method.
    """
    flat, mask = pixels.flatten(2), observed.flatten(2)
    if method == "none":
        scaled = flat
    elif method == "minmax":
        lowest = torch.where(mask, flat, math.inf).amin(dim=2, keepdim=True)
        span = torch.where(mask, flat, -math.inf).amax(dim=2, keepdim=True) - lowest
        scaled = (flat - lowest) / torch.where(span > 0, span, 1.0)
    elif method == "asinh":
        deviations = flat - masked_median(flat, mask)
        sizes = deviations.abs()
        mad = masked_median(sizes, mask)
        # If more than half of the pixels are equal, the MAD is 0. The largest deviation is used
        # then: it scales with the counts too.
        largest = (sizes * mask).amax(dim=2, keepdim=True)
        scaled = _arcsinh(
            deviations / torch.where(mad > 0, mad, torch.where(largest > 0, largest, 1.0))
        )
    else:
        raise ValueError(
            f"Unknown scaling {method!r}. Must be one of: {', '.join(SCALING_METHODS)}"
        )
    return torch.where(mask, scaled, 0.0).reshape(pixels.shape)


def _downsample(stamps: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Average the observed pixels of stamps by a whole factor around their centre.

    Returns `(n, c, 21, 21)` and the mask of cells with an observed pixel.
    """
    factor = min(stamps.shape[-2:]) // CROP
    if factor < 2:
        crops = crop(stamps)
        return torch.zeros_like(crops), torch.zeros_like(crops, dtype=torch.bool)
    sums, counts = (_sum_cells(crop(part, factor * CROP), factor) for part in (stamps, observed))
    means = sums.double() / counts.double().clamp(min=1)
    return means.float(), counts > 0


def _sum_cells(images: Tensor, size: int) -> Tensor:
    """Return the sums of cells of `size` x `size` pixels, float32."""
    # A loop over slices is several times as fast as a sum over short axes.
    for axis in (-1, -2):
        slices = [images.unflatten(axis, (-1, size)).select(axis, i) for i in range(size)]
        total = slices[0].float() + slices[1]
        for part in slices[2:]:
            total = total + part
        images = total
    return images


def masked_median(values: Tensor, mask: Tensor) -> Tensor:
    """Return the median of the values `(n, c, k)` in the mask: `(n, c, 1)`, any where none is."""
    ordered = _sort(torch.where(mask, values, math.inf))
    counts = mask.sum(dim=2, keepdim=True)
    low = ordered.gather(2, ((counts - 1) // 2).clamp(min=0))
    high = ordered.gather(2, counts // 2)
    return torch.where(low < high, (low + high) / 2, low)


def _sort(values: Tensor) -> Tensor:
    if values.device.type == "cpu" and not torch.compiler.is_compiling():
        # Ten times as fast as torch, which sorts the indices too.
        return torch.from_numpy(np.sort(values.numpy(), axis=-1))
    return values.sort(dim=-1).values


def _arcsinh(values: Tensor) -> Tensor:
    """Return arcsinh to float32's precision, in a third of the time of torch on a CPU."""
    size = values.abs()
    # Up to 1e18 the square is finite.
    small = size.clamp(max=1e18)
    square = small.square()
    result = torch.log1p(small + square / (1 + torch.sqrt(1 + square)))
    # Beyond, arcsinh is log(2 x) to float32's precision.
    result = torch.where(size > 1e18, size.log() + math.log(2), result)
    # ONNX has no copysign.
    return result * values.sign()

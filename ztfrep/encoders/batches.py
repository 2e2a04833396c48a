"""Batches of a model's input, encoded to vectors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


def encode(
    model: nn.Module, batch: Sequence[Tensor], device: torch.device, precision: str
) -> np.ndarray:
    """Encode one batch of a model's input to float32 vectors `(n, d)`.

    Raises ValueError if a vector is not finite.
    """
    model.eval()
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), mixed:
        encoded: Tensor = model.encode(*(part.to(device) for part in batch))  # type: ignore[operator]
    vectors: np.ndarray = encoded.float().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise ValueError("the model gives vectors that are not finite")
    return vectors

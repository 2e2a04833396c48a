"""The device that a stage computes on."""

import torch

from ztfrep.params import Params
from ztfrep.training.fit import choose_device, make_deterministic


def start(params: Params) -> torch.device:
    """Make torch deterministic, seed it, and choose where to compute."""
    make_deterministic(params.threads)
    torch.manual_seed(params.seed)
    return choose_device()

"""Devices that networks run on, and what makes their results the same every time."""

import os

import torch

from ztfrep.errors import InputError, quote


def choose_device(name: str | None = None) -> torch.device:
    """Return the device of a name; by default that of `ZTFREP_DEVICE`, else a GPU, else the CPU.

    Raises InputError unless it is `cpu`, `cuda`, or `cuda:N` of a GPU that is there.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    known = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{n}" for n in range(gpus))]
    source = "the environment variable ZTFREP_DEVICE" if name is None else "device"
    if name is None:
        name = os.environ.get("ZTFREP_DEVICE", "cuda" if gpus else "cpu")
    if name not in known:
        raise InputError(
            source,
            found=quote(name),
            expected=" or ".join(known) + ("" if gpus else ", as torch sees no GPU"),
            remedy=f"set it to {known[-1]}, or leave it out",
        )
    return torch.device(name)


def make_deterministic(threads: int) -> None:
    """Make torch compute the same bits for the same seed and number of threads."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As `use_deterministic_algorithms`, which imports torch's compiler too: two seconds of a stage.
    torch.set_deterministic_debug_mode("error")
    torch.set_num_threads(threads)

"""The device that networks run on, and settings for deterministic results."""

import os

import torch

from ztfrep.errors import InputError, quote


def choose_device(name: str | None = None) -> torch.device:
    """Return the device of a name, `cpu`, `cuda` or `cuda:N`.

    By default the name is the value of the environment variable `ZTFREP_DEVICE`, else `cuda` if
    there is a GPU, else `cpu`. Raises InputError for another name and for a GPU that is absent.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{n}" for n in range(gpus))]
    source = "the environment variable ZTFREP_DEVICE" if name is None else "device"
    if name is None:
        name = os.environ.get("ZTFREP_DEVICE", "cuda" if gpus else "cpu")
    if name not in names:
        raise InputError(
            source,
            found=quote(name),
            expected=" or ".join(names) + ("" if gpus else ", as torch sees no GPU"),
            remedy=f"set it to {names[-1]}, or leave it out",
        )
    return torch.device(name)


def make_deterministic(threads: int) -> None:
    """Set torch to compute the same bits for the same seed and number of threads."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same as `use_deterministic_algorithms`, which also imports torch's compiler for 2 seconds.
    torch.set_deterministic_debug_mode("error")
    # Else this mode fills new memory before it is written: a tenth of the time of training.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_num_threads(threads)

"""The processes of a training that `torchrun` started; without it a training is one process.

All processes read the same inputs and take the same steps. The first one alone writes outputs.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from ztfrep.errors import InputError

Value = TypeVar("Value")
# How long a process waits for the others before it ends. The first one writes the model alone.
_TIMEOUT = timedelta(minutes=10)
# The libraries of torch's process groups, which the errors of a lost connection name.
_LIBRARIES = ("gloo", "nccl")


@contextmanager
def joined_processes() -> Iterator[None]:
    """Join the processes that torchrun started while the block, or decorated function, runs.

    Does nothing in one process. Only the first process logs warnings. Raises InputError if another
    process ends early or does not answer.
    """
    if not dist.is_torchelastic_launched() or os.environ["WORLD_SIZE"] == "1":
        yield
        return
    level = logging.root.manager.disable
    try:
        dist.init_process_group(timeout=_TIMEOUT)
        if not is_first():
            logging.disable(logging.WARNING)
        yield
        # The others end when the first one has written its outputs.
        from_first(None)
    except RuntimeError as error:
        if not _is_lost_connection(error):
            raise
        raise InputError(
            "torchrun",
            found=f"a process that ended or does not answer ({_shorten(error)})",
            expected=f"all {os.environ['WORLD_SIZE']} processes to train until the end",
            remedy="correct the error of that process, then run the same command again to go on",
        ) from error
    finally:
        logging.disable(level)
        if dist.is_initialized():
            dist.destroy_process_group()


def n_processes() -> int:
    """Return the number of processes of this training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def process_index() -> int:
    """Return the index of this process among those of the training."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Return True in the process that writes the outputs: the first one, or the only one."""
    return process_index() == 0


def own_device(device: torch.device) -> torch.device:
    """Return the device of this process: with several processes, each has a GPU of its own.

    Raises InputError if the machine has fewer GPUs than processes.
    """
    if n_processes() == 1 or device.type != "cuda":
        return device
    index, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if index >= gpus:
        raise InputError(
            "torchrun",
            found=f"{os.environ['LOCAL_WORLD_SIZE']} processes on a machine with {gpus} GPUs",
            expected="at most one process for each GPU",
            remedy=f"run it with --nproc-per-node {gpus}, or set ZTFREP_DEVICE to cpu",
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def from_first(value: Value) -> Value:
    """Return the value of the first process."""
    if n_processes() == 1:
        return value
    values: list[Any] = [value]
    dist.broadcast_object_list(values)
    received: Value = values[0]
    return received


def check_equal(value: str, name: str) -> None:
    """Raise InputError in every process if the processes have different values.

    `name` is what the values describe, for the message.
    """
    values: list[Any] = [None] * n_processes()
    if n_processes() > 1:
        dist.all_gather_object(values, value)
        if len(set(values)) > 1:
            raise InputError(
                "torchrun",
                found=f"processes with different {name}",
                expected="the same in all",
                remedy="copy the repository and its data to every machine, or use a shared folder",
            )


def _is_lost_connection(error: Exception) -> bool:
    """Return True for an error of the communication with other processes."""
    # Those of gloo are RuntimeErrors of no class of their own.
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(name in text for name in _LIBRARIES)


def _shorten(error: Exception) -> str:
    """Return the start of a message without the place in a library's source before it."""
    return str(error).rpartition(".cc:")[2].partition("] ")[2][:60] or str(error)[:60]

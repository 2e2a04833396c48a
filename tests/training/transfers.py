"""A mode in which operations that no CUDA graph can contain are an error, on any device."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Operations that read a number of a tensor, or whose result has a size that depends on one.
READS = {
    *("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select"),
    *("_unique2", "unique_dim", "unique_consecutive", "bincount"),
}
# Operations that make a tensor of Python numbers, which are then copied to a device.
WRITES = {"lift_fresh", "lift_fresh_copy"}


class TransferError(AssertionError):
    """A number was copied between the host and the device."""


class NoTransfers(TorchDispatchMode):
    """Raises TransferError if an operation waits for the device, or copies a tensor from the host.

    With `device`, also if an operation reads or returns a tensor on another device.
    """

    def __init__(self, device=None):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.name().removeprefix("aten::")
        if name.partition(".")[0] in READS | WRITES or name == "repeat_interleave.Tensor":
            raise TransferError(name)
        if name.startswith("index") and any(
            isinstance(part, torch.Tensor) and part.dtype in (torch.bool, torch.uint8)
            for part in tree_leaves(args[1:2])
        ):
            raise TransferError(f"{name} by a mask")
        result = function(*args, **kwargs)
        if self.device is not None:
            for part in tree_leaves((args, kwargs, result)):
                if isinstance(part, torch.Tensor) and part.device.type != self.device:
                    raise TransferError(f"{name} of a tensor on {part.device}")
        return result

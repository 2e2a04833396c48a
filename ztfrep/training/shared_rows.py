"""Work on the rows of a batch that several processes share.

Every process has the whole batch and draws the same random numbers, so that most of a network and
its loss is computed in each of them, with the same result. The slowest modules are
shared: a process passes its part of the rows through them, and receives the outputs of the other
rows from the other processes. So the loss is that of one process, whatever it is computed of.

The gradient of the loss is the same in every process too. Within a shared module a process has only
the part of its rows, of which the sum over the processes is the gradient. It is multiplied by the
number of processes, since DistributedDataParallel averages the gradients of all parameters.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ztfrep.models.loss_terms import LossTerms
from ztfrep.training.process_group import n_processes, process_index
from ztfrep.training.steps import Dataset, Loss


@contextmanager
def sharing_rows(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Share the rows that pass through modules between the processes, in training and evaluation.

    The rows are the first axis of the first argument and of the output; of an output with several
    parts only the first is returned, the others are None. The output of a row must not depend on
    the other rows, but for the statistics of batch norm, which are those of all rows. Random
    numbers must not be drawn. Weights and their names remain as they are. Does nothing in one
    process.
    """
    with ExitStack() as stack:
        for module in modules if n_processes() > 1 else ():
            shared = _SharedModule()
            stack.enter_context(module.register_forward_pre_hook(shared.select))
            stack.enter_context(module.register_forward_hook(shared.collect))
            for part in module.modules():
                if type(part) is nn.BatchNorm2d:
                    # As parametrizations of torch do it.
                    part.__class__ = _SharedBatchNorm
                    stack.callback(setattr, part, "__class__", nn.BatchNorm2d)
        yield


def averaging_gradients(model: nn.Module, loss: Loss) -> Loss:
    """Return the loss of a model such that `backward` averages gradients over the processes.

    The weights of the first process are copied to the others. Returns the loss itself in one
    process. The loss may only be called in training.
    """
    if n_processes() == 1:
        return loss
    # A static graph may have parameters that the loss does not depend on.
    parallel = nn.parallel.DistributedDataParallel(_LossModule(model, loss), static_graph=True)

    def call(model: nn.Module, batch: Dataset) -> LossTerms:
        terms: LossTerms = parallel(*batch)
        return terms

    return call


class _LossModule(nn.Module):
    """A module that returns the loss terms of a batch, as DistributedDataParallel needs it."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, *batch: Tensor) -> LossTerms:
        return self.loss(self.model, batch)


class _SharedModule:
    """The hooks of a module whose rows are shared."""

    def __init__(self) -> None:
        self.rows = 0

    def select(self, module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments with the rows of this process."""
        batch, *others = arguments
        self.rows = len(batch)
        return _Select.apply(batch), *others

    def collect(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> Any:
        """Return the output of all rows."""
        if isinstance(output, Tensor):
            return _Collect.apply(output, self.rows)
        first, *others = output
        return _Collect.apply(first, self.rows), *(None for _ in others)


class _SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm by mean and variance of the rows of all processes.

    `nn.SyncBatchNorm` runs on GPUs only.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, images: Tensor) -> Tensor:
        """Return the normalised images `(n, c, h, w)`, where n may be 0."""
        if not self.training:
            return super().forward(images)
        count, axes = images.numel() // images.shape[1], (0, 2, 3)
        values = images.to(torch.promote_types(images.dtype, torch.float32))
        mean = values.sum(axes) / max(count, 1)
        variance = (values - mean[:, None, None]).square().sum(axes) / max(count, 1)
        # In float64, so that the difference of large numbers does not lose digits.
        mean, variance = mean.double(), variance.double()
        sums = torch.stack([count * mean, count * (variance + mean.square())])
        total = _Sum.apply(torch.cat([sums.flatten(), sums.new_full((1,), count)]))
        mean, square = (total[:-1] / total[-1]).view(2, -1)
        variance = square - mean.square()
        with torch.no_grad():
            self.num_batches_tracked += 1
            unbiased = variance * (total[-1] / (total[-1] - 1))
            for running, batch in ((self.running_mean, mean), (self.running_var, unbiased)):
                running.lerp_(batch.to(running.dtype), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt().to(values.dtype)
        deviations = values - mean.to(values.dtype)[:, None, None]
        return (deviations * scale[:, None, None] + self.bias[:, None, None]).to(images.dtype)


def _own(rows: Tensor) -> Tensor:
    """Return the rows of this process: none if there are fewer rows than processes."""
    return rows.tensor_split(n_processes())[process_index()]


def _all(own: Tensor, rows: int) -> Tensor:
    """Return the rows of all processes, `rows` in all."""
    sizes = [len(part) for part in torch.empty(rows).tensor_split(n_processes())]
    # All processes must send tensors of the same size.
    padded = own.new_zeros(max(sizes), *own.shape[1:])
    padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


class _Select(torch.autograd.Function):
    """The rows of this process, of a batch that every process has."""

    @staticmethod
    def forward(ctx: Any, batch: Tensor) -> Tensor:
        ctx.rows = len(batch)
        return _own(batch).view_as(_own(batch))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _all(gradient, ctx.rows) / n_processes()


class _Collect(torch.autograd.Function):
    """The rows of all processes, of which each has its own."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rows: int) -> Tensor:
        return _all(own, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _own(gradient) * n_processes(), None


class _Sum(torch.autograd.Function):
    """The sum of a tensor over the processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total

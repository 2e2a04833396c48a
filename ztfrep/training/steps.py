"""Steps of a training: batches of rows through a network, on a GPU as a captured CUDA graph.

A small network spends its time on a GPU waiting for the host, which launches a thousand kernels in
every step. A captured graph launches them at once. It repeats the same kernels on the same memory,
so a step may draw random numbers and choose rows on the device only, and read nothing back.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ztfrep.models.loss_terms import LossTerms
from ztfrep.models.recipe import Recipe

Dataset = tuple[Tensor, ...]
# A function that computes the loss terms of a network on a batch of rows.
Loss = Callable[[nn.Module, Dataset], LossTerms]

# Steps before the capture, in which libraries choose their kernels and allocate their workspaces.
_WARM_UP = 3


OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def make_optimizer(
    recipe: Recipe, parameters: Iterable[nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimizer of a recipe, as one fused kernel; on a GPU it can be captured."""
    options: dict[str, object] = {"lr": recipe.learning_rate, "fused": True}
    if device.type == "cuda" and recipe.optimizer != "sgd":
        options["capturable"] = True
    optimizer = OPTIMIZERS[recipe.optimizer](parameters, **options)  # type: ignore[arg-type]
    set_learning_rate(optimizer, recipe.learning_rate, device)
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float, device: torch.device) -> None:
    """Set the learning rate, on a GPU in the tensor that a captured step reads."""
    for group in optimizer.param_groups:
        if device.type != "cuda":
            group["lr"] = rate
        elif isinstance(group["lr"], Tensor) and group["lr"].device == device:
            group["lr"].fill_(rate)
        else:
            group["lr"] = torch.tensor(rate, device=device)


class Steps:
    """Steps over a data set, in training if there is an optimizer, else in evaluation.

    Parameters
    ----------
    model : nn.Module
    data : tuple of tensors (rows, ...)
        On the model's device.
    loss : function
        Returns the loss terms of the model for a batch of the data.
    precision : str
        `float32`, or `bf16` (mixed).
    optimizer : Optimizer, optional
        Minimises the term `loss`. On a GPU it is `capturable`; see `make_optimizer`.
    capture : bool, optional
        Capture the steps as CUDA graphs; by default if the data is on a GPU.
    compiled : bool
        Compile the loss with `torch.compile` first.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        loss: Loss,
        precision: str,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        capture: bool | None = None,
        compiled: bool = False,
    ) -> None:
        self.model = model
        self.data = data
        self.loss = _compile(loss) if compiled else loss
        self.precision = precision
        self.optimizer = optimizer
        self.device = data[0].device
        self.capture = self.device.type == "cuda" if capture is None else capture
        self._batches: dict[int, _Batch] = {}
        # By the name of a term: its sum over all rows, and the number of values.
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}

    def prepare(self, sizes: set[int]) -> None:
        """Capture the steps of batches of these sizes, if steps are captured.

        Weights, optimizer and random numbers are left as they were.
        """
        for size in sorted(sizes - set(self._batches), reverse=True):
            self._batches[size] = _Batch(self, size)

    def run(self, order: Tensor, batch_size: int) -> dict[str, float]:
        """Take a step for each batch of the rows `order`; return the means of the loss terms.

        The means are over all rows, and do not depend on the batch size.
        """
        self.model.train(self.optimizer is not None)
        batches = order.split(batch_size)
        self.prepare({len(rows) for rows in batches})
        for total, count in self._sums.values():
            total.zero_()
            count.zero_()
        for rows in batches:
            self._batches[len(rows)].step(rows)
        # Only now is a number read: that waits for the device.
        return {
            name: float(total / count.clamp(min=1)) for name, (total, count) in self._sums.items()
        }

    def take(self, rows: Tensor) -> None:
        """Take the step of a batch, and add its loss terms to the sums."""
        batch = tuple(part[rows] for part in self.data)
        mixed = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.set_grad_enabled(self.optimizer is not None):
            with mixed:
                terms = self.loss(self.model, batch)
            if self.optimizer is not None:
                self.optimizer.zero_grad(set_to_none=True)
                terms["loss"][0].backward()
                self.optimizer.step()
        for name, (mean, weight) in terms.items():
            if name not in self._sums:
                zero = torch.zeros((), dtype=torch.float64, device=self.device)
                self._sums[name] = zero, zero.clone()
            total, count = self._sums[name]
            total += mean.detach().double() * weight
            count += weight


class _Batch:
    """Steps of batches of one size."""

    def __init__(self, steps: Steps, size: int) -> None:
        self.steps = steps
        self.rows = torch.zeros(size, dtype=torch.int64, device=steps.device)
        self.graph: torch.cuda.CUDAGraph | None = None
        if steps.capture:
            self._capture()

    def step(self, rows: Tensor) -> None:
        if self.graph is None:
            self.steps.take(rows)
        else:
            self.rows.copy_(rows)
            self.graph.replay()

    def _capture(self) -> None:
        steps = self.steps
        with _unchanged(steps.model, steps.optimizer, steps.device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    steps.take(self.rows)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph):
                    steps.take(self.rows)
            except RuntimeError as error:
                steps.capture = False
                logging.warning(
                    "the training step cannot be captured as a CUDA graph, training is slower: %s",
                    " ".join(str(error).split())[:200],
                )
            else:
                self.graph = graph


@contextmanager
def _unchanged(
    model: nn.Module, optimizer: torch.optim.Optimizer | None, device: torch.device
) -> Iterator[None]:
    """Restore weights, state of the optimizer and random numbers afterwards, in their memory."""
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    states = {} if optimizer is None else optimizer.state
    before = {
        (parameter, name): value.clone()
        for parameter, values in states.items()
        for name, value in values.items()
    }
    on_gpu = device.type == "cuda"
    random_state = torch.cuda.get_rng_state(device) if on_gpu else torch.get_rng_state()
    try:
        yield
    finally:
        for name, value in model.state_dict().items():
            value.copy_(weights[name])
        for parameter, values in states.items():
            for name, value in values.items():
                # A new optimizer begins with zeros.
                value.copy_(before.get((parameter, name), torch.zeros_like(value)))
        if on_gpu:
            torch.cuda.set_rng_state(random_state, device)
        else:
            torch.set_rng_state(random_state)


def _compile(loss: Loss) -> Loss:
    """Return a compiled loss, which is the loss itself where no compiler is."""
    from torch._dynamo.exc import TorchDynamoException

    compiled = torch.compile(loss, dynamic=False)

    def call(model: nn.Module, batch: Dataset) -> LossTerms:
        nonlocal compiled
        try:
            return compiled(model, batch)
        except TorchDynamoException as error:
            logging.warning(
                "torch.compile fails, training is slower: %s", " ".join(str(error).split())[:200]
            )
            compiled = loss
            return loss(model, batch)

    return call

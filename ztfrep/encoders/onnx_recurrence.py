"""Recurrent layers as the operators GRU and LSTM of ONNX.

The export of torch 2.13 writes loops in place of them, and for some networks fixes the number of
steps to that of the example, without an error.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

_OPSET = 18
# Operator, and the order of its gates as indices of torch's: ONNX has update, reset, hidden for
# torch's reset, update, new; and input, output, forget, cell for input, forget, cell, output.
_OPERATORS = {nn.GRU: ("GRU", (1, 0, 2)), nn.LSTM: ("LSTM", (0, 3, 1, 2))}


def with_onnx_recurrence(network: nn.Module) -> nn.Module:
    """Return a copy of a network whose GRUs and LSTMs can be exported, and only be exported."""
    exported = copy.deepcopy(network)
    for name, module in list(exported.named_modules()):
        if type(module) in _OPERATORS:
            exported.set_submodule(name, OnnxRecurrence(module))
    return exported


class OnnxRecurrence(nn.Module):
    """The operators of a stacked GRU or LSTM that runs forward in time, batch first."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        if layer.bidirectional or not (layer.batch_first and layer.bias) or layer.proj_size:
            raise NotImplementedError("only layers that run forward, batch first, with biases")
        self.hidden = layer.hidden_size
        self.operator, self.gates = _OPERATORS[type(layer)]
        self.layers = layer.num_layers
        for index in range(layer.num_layers):
            for part in ("weight_ih", "weight_hh"):
                weight = self._reorder(getattr(layer, f"{part}_l{index}"))
                self.register_buffer(f"{part}_l{index}", weight[None])
            biases = [getattr(layer, f"{part}_l{index}") for part in ("bias_ih", "bias_hh")]
            self.register_buffer(
                f"bias_l{index}", torch.cat(list(map(self._reorder, biases)))[None]
            )

    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        """Return the states `(n, steps, hidden)` of inputs `(n, steps, d)`, and no last state."""
        states = inputs.transpose(0, 1)
        attributes: Any = {"hidden_size": self.hidden}
        if self.operator == "GRU":
            # As in torch, the reset gate multiplies the output of the linear layer, not its input.
            attributes["linear_before_reset"] = 1
        for index in range(self.layers):
            names = (f"{part}_l{index}" for part in ("weight_ih", "weight_hh", "bias"))
            weights = [getattr(self, name) for name in names]
            states = torch.onnx.ops.symbolic(
                self.operator,
                (states, *weights),
                attributes,
                dtype=states.dtype,
                shape=(states.shape[0], 1, states.shape[1], self.hidden),
                version=_OPSET,
            )[:, 0]
        return states.transpose(0, 1), None

    def _reorder(self, weight: Tensor) -> Tensor:
        """Return a weight or bias with its gates in the order of ONNX."""
        parts = weight.detach().unflatten(0, (len(self.gates), self.hidden))
        return parts[list(self.gates)].flatten(0, 1)

"""Several processes train as one process does."""

import math

import pytest
import torch

from tests.isolation import restored_torch_settings
from tests.training import torchrun
from tests.training.float64_fits import ALERTS, OBJECTS, fit_network

NAMES = (*ALERTS, *OBJECTS)


@pytest.fixture(scope="module")
def alone():
    """Return a function that returns the records and weights of a fit in this process."""
    with restored_torch_settings():
        torch.set_num_threads(1)
        results = {name: fit_network(name) for name in NAMES}
    return results | {"resumed": results["temporal gru"]}


@pytest.mark.parametrize("processes", [2, 3])
def test_losses_and_weights_are_those_of_one_process(tmp_path, alone, processes):
    output = torchrun.run(tmp_path, processes, "tests.training.float64_fits", tmp_path)
    assert "Warning" not in output
    results = [torch.load(tmp_path / f"{index}.pt") for index in range(processes)]
    assert set(results[0]) == {*NAMES, "resumed"}
    for name, (history, weights) in results[0].items():
        expected_history, expected_weights = alone[name]
        assert len(history) == 4
        for record, expected in zip(history, expected_history, strict=True):
            assert record == pytest.approx(expected, rel=1e-9), name
        # A network that learns nothing would prove nothing.
        assert not math.isclose(history[1]["train_loss"], history[3]["train_loss"], rel_tol=1e-6)
        # The gradient of a bias before batch norm is 0 but for rounding, which Adam amplifies.
        torch.testing.assert_close(weights, expected_weights, rtol=1e-7, atol=1e-7)
        for other_history, other_weights in (other[name] for other in results[1:]):
            assert other_history == history
            torch.testing.assert_close(other_weights, weights, rtol=0, atol=0)
    assert [path.name for path in tmp_path.glob("checkpoints-*")] == ["checkpoints-0"]

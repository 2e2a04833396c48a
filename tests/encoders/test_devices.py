"""The device that `ZTFREP_DEVICE` names."""

import pytest
import torch

from ztfrep.errors import InputError
from ztfrep.training.fit import choose_device


@pytest.fixture
def machine(monkeypatch):
    """Sets how many GPUs torch sees."""

    def with_gpus(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.delenv("ZTFREP_DEVICE", raising=False)

    return with_gpus


@pytest.mark.parametrize(
    ("gpus", "name", "device"),
    [
        (0, None, "cpu"),
        (0, "cpu", "cpu"),
        (2, None, "cuda"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_the_named_device_else_the_best_is_used(machine, monkeypatch, gpus, name, device):
    machine(gpus)
    if name is not None:
        monkeypatch.setenv("ZTFREP_DEVICE", name)
    assert choose_device() == torch.device(device)


@pytest.mark.parametrize(
    "name",
    ["", " ", "nonsense", "CPU", "cpu ", "cpu\n", "mps", "xpu", "meta", "cuda", "cuda:0", "cuda:7",
     "cuda:-1", "gpu", "0", "x" * 100_000, "\x1b[2J"],
)  # fmt: skip
def test_another_device_is_refused_in_one_line(machine, monkeypatch, name):
    machine(0)
    monkeypatch.setenv("ZTFREP_DEVICE", name)
    with pytest.raises(InputError) as error:
        choose_device()
    text = str(error.value)
    assert text.startswith("the environment variable ZTFREP_DEVICE: found '")
    assert "expected cpu, as torch sees no GPU; set it to cpu, or unset it" in text
    assert text.isprintable()
    assert len(text) < 250


@pytest.mark.parametrize("name", ["cuda:2", "cuda:01", "mps"])
def test_gpus_that_are_there_are_offered(machine, monkeypatch, name):
    machine(2)
    monkeypatch.setenv("ZTFREP_DEVICE", name)
    with pytest.raises(InputError, match="expected cpu or cuda or cuda:0 or cuda:1; set it to cu"):
        choose_device()

"""The device of a name or of `ZTFREP_DEVICE`, and deterministic computation."""

import pytest
import torch

from tests.isolation import restored_torch_settings
from ztfrep.encoders.devices import choose_device, make_deterministic
from ztfrep.errors import InputError


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets the number of GPUs that torch reports."""

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
def test_the_named_device_is_returned_and_by_default_a_gpu(
    machine, monkeypatch, gpus, name, device
):
    machine(gpus)
    if name is not None:
        monkeypatch.setenv("ZTFREP_DEVICE", name)
    assert choose_device() == torch.device(device)
    # An argument takes precedence over the environment variable.
    if name is not None:
        monkeypatch.setenv("ZTFREP_DEVICE", "nonsense")
        assert choose_device(name) == torch.device(device)


@pytest.mark.parametrize(
    "name",
    ["", " ", "nonsense", "CPU", "cpu ", "cpu\n", "mps", "xpu", "meta", "cuda", "cuda:0", "cuda:7",
     "cuda:-1", "gpu", "0", "x" * 100_000, "\x1b[2J"],
)  # fmt: skip
def test_an_unknown_device_is_refused_in_one_line(machine, monkeypatch, name):
    machine(0)
    monkeypatch.setenv("ZTFREP_DEVICE", name)
    with pytest.raises(InputError) as error:
        choose_device()
    text = str(error.value)
    assert text.startswith("the environment variable ZTFREP_DEVICE: found '")
    assert "expected cpu, as torch sees no GPU; set it to cpu, or leave it out" in text
    assert text.isprintable()
    assert len(text) < 250


@pytest.mark.parametrize("name", ["cuda:2", "cuda:01", "mps"])
def test_the_message_names_the_existing_gpus(machine, monkeypatch, name):
    machine(2)
    monkeypatch.setenv("ZTFREP_DEVICE", name)
    with pytest.raises(InputError, match="expected cpu or cuda or cuda:0 or cuda:1; set it to cu"):
        choose_device()


def test_the_message_about_an_argument_names_it(machine):
    machine(0)
    with pytest.raises(
        InputError, match="device: found 'cuda'; expected cpu, as torch sees no GPU"
    ):
        choose_device("cuda")


def test_computation_is_deterministic_with_the_number_of_threads():
    with restored_torch_settings():
        make_deterministic(1)
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        with pytest.raises(RuntimeError, match="deterministic"):
            torch.zeros(3).put_(torch.tensor([1, 1]), torch.ones(2))

"""Fixtures of the tests of training."""

import pytest
import torch


@pytest.fixture
def restored_torch_settings(monkeypatch):
    """Run on the CPU, and restore threads and determinism afterwards."""
    monkeypatch.setenv("ZTFREP_DEVICE", "cpu")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("default")


@pytest.fixture
def outside_a_repository(tmp_path, monkeypatch):
    """Run in a folder of no repository, of which DVCLive would make use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("DVC_ROOT", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)

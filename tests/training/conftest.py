"""Fixtures of the tests of training."""

import pytest

from tests import isolation


@pytest.fixture
def restored_torch_settings(monkeypatch):
    """Run on the CPU, and restore threads and determinism afterwards."""
    monkeypatch.setenv("ZTFREP_DEVICE", "cpu")
    with isolation.restored_torch_settings():
        yield


@pytest.fixture
def outside_a_repository(tmp_path):
    """Run in a folder of no repository."""
    with isolation.outside_a_repository(tmp_path):
        yield

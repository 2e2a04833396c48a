"""Stages under torchrun: files written once, and errors of one process that end all."""

import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
import yaml

from tests.alert_tables import alert_rows, write_table
from tests.training import torchrun
from ztfrep.encoders.model_folder import CARD, load_alert_network
from ztfrep.errors import InputError
from ztfrep.training import process_group

MODEL, METRICS = "data/models/autoencoder", "metrics/autoencoder"
# A process that joins the others and, if it is the first, waits for them.
PROGRAM = """
import os, sys
from ztfrep.process import exiting_in_one_line
from ztfrep.training import process_group
with exiting_in_one_line(), process_group.joined_processes():
    process_group.from_first(None)
    {statement}
    process_group.check_equal("same", "inputs")
    process_group.check_equal(str(process_group.process_index()), "inputs")
"""


def write_stage_inputs(folder, **changes):
    """Write the parameters and the table that the stage `train_autoencoder` reads."""
    n = 40
    rows = alert_rows(n, split=["train"] * 30 + ["validation"] * 10)
    # The classes differ, so that a short training learns something.
    rows["stamps"][:, :, 18:24, 18:24] += 40 * np.arange(n)[:, None, None, None] % 200
    (folder / "data/parquet").mkdir(parents=True)
    write_table(folder / "data/parquet/stamps.parquet", rows)
    params = yaml.safe_load((torchrun.ROOT / "params.yaml").read_text())
    params["threads"] = 1
    autoencoder = params["autoencoder"]
    autoencoder["architecture"] = "published"
    autoencoder["published"] |= {"epochs": 2, "batch_size": 8, "learning_rate": 0.001} | changes
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / ".git").mkdir()
    return folder


def files(folder):
    return {
        str(path.relative_to(folder))
        for name in ("data", "metrics", ".cache")
        for path in (folder / name).rglob("*")
    }


def test_a_stage_writes_the_files_of_one_process_once(tmp_path):
    folders = [write_stage_inputs(tmp_path / str(processes)) for processes in (1, 2)]
    for processes, folder in enumerate(folders, start=1):
        torchrun.run(folder, processes, "stages.train_autoencoder")
    alone, together = folders
    assert files(alone) == files(together)
    curves = [(folder / METRICS / "plots/metrics/validation/loss.tsv") for folder in folders]
    assert len(curves[1].read_text().splitlines()) == 4
    networks, cards = zip(*(load_alert_network(folder / MODEL) for folder in folders), strict=True)
    for record, expected in zip(cards[1].history, cards[0].history, strict=True):
        assert record == pytest.approx(expected, rel=1e-5)
    expected = networks[0].state_dict()
    torch.testing.assert_close(networks[1].state_dict(), expected, rtol=1e-4, atol=1e-5)
    metrics = [(folder / METRICS / "metrics.json").read_text() for folder in folders]
    assert yaml.safe_load(metrics[1]) == pytest.approx(yaml.safe_load(metrics[0]), rel=1e-4)


def test_a_killed_process_ends_all_and_leaves_the_checkpoint(tmp_path):
    folder = write_stage_inputs(tmp_path / "run", epochs=5000, patience=5000)
    process = torchrun.start(folder, 2, "stages.train_autoencoder")
    checkpoints = folder / ".cache/checkpoints"
    try:
        end = time.monotonic() + 60
        while not list(checkpoints.glob("*.pt")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        workers[1].kill()
        process.communicate(timeout=30)
        assert not [worker for worker in workers if worker.is_running()]
    finally:
        process.kill()
        process.communicate()
    assert process.returncode != 0
    assert not (folder / MODEL / CARD).exists()
    assert not (folder / METRICS / "metrics.json").exists()
    assert len(list(checkpoints.glob("*.pt"))) == 1


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("", "found processes with different inputs; expected the same in all"),
        ("process_group.is_first() or os._exit(3)", "found a process that ended"),
    ],
    ids=["other inputs", "ends early"],
)
def test_an_error_of_the_other_process_is_one_line(tmp_path, statement, message):
    shared = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "test",
        "MASTER_PORT": str(free_port()),
    }  # fmt: skip
    first, second = (
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(statement=statement)],
            cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            env=torchrun.environment(RANK=index, LOCAL_RANK=index, **shared),
        )
        for index in "01"
    )  # fmt: skip
    errors = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert errors[0].startswith("error: torchrun: ")
    assert message in errors[0]
    assert errors[0].count("\n") == 1
    assert first.returncode == 1
    assert second.returncode in (1, 3)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(process_group, "n_processes", lambda: 2)
    chosen = []
    cuda = SimpleNamespace(device_count=lambda: 1, set_device=chosen.append)
    monkeypatch.setattr(torch, "cuda", cuda)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert process_group.own_device(torch.device("cuda")) == torch.device("cuda:0")
    assert chosen == [0]
    assert process_group.own_device(torch.device("cpu")) == torch.device("cpu")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(InputError, match="2 processes on a machine with 1 GPUs"):
        process_group.own_device(torch.device("cuda"))

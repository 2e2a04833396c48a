"""What a training leaves on disk when it ends well, and when it does not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from stages import fitting
from ztfrep.data.alert_schema import CLASSES
from ztfrep.encoders.cards import AutoencoderCard, FeatureScaling
from ztfrep.params import read_params

ROOT = Path(__file__).parents[2]


def card(chosen):
    """What a card says beside how the training went."""
    names = ("latent_dim", "dropout", "detail")
    scale = {"unit": "physical", "mean": [0.0] * 26, "std": [1.0] * 26}
    return {
        "classes": list(CLASSES),
        "sizes": {name: getattr(chosen, name) for name in names} | {"classes": len(CLASSES)},
        "rescale": chosen.rescale,
        "features": FeatureScaling(**scale, left_out=chosen.left_out),
    }


@pytest.fixture
def fit(tmp_path, monkeypatch):
    params = read_params(ROOT / "params.yaml")
    chosen = params.autoencoder.model_copy(update={"epochs": 2, "final_epochs": 0, "batch_size": 8})
    params = params.model_copy(update={"autoencoder": chosen})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fitting, "CACHE", tmp_path / "cache")
    # No folder of a repository, of which DVCLive would make use.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("DVC_ROOT", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)

    def run(fail_at=None):
        torch.manual_seed(0)
        data = torch.randn(16, 3), torch.randn(16, 1)
        calls = 0

        def loss(model, batch):
            nonlocal calls
            calls += 1
            if calls == fail_at:
                raise OSError(28, "No space left on device")
            x, y = batch
            return {"loss": ((model(x) - y).square().mean(), torch.tensor(len(x)))}

        fitting.fit_and_save(
            nn.Linear(3, 1), data, torch.arange(16), data, loss, params, "autoencoder",
            AutoencoderCard, card(chosen),
            inputs=[], directory=tmp_path / "model", live=tmp_path / "metrics",
        )  # fmt: skip

    return run


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_leaves_its_curves_and_its_best_epochs_metrics(fit, tmp_path):
    fit()
    assert set(contents(tmp_path / "metrics")) == {
        "metrics.json",
        "plots/metrics/train/loss.tsv",
        "plots/metrics/validation/loss.tsv",
    }
    rows = (tmp_path / "metrics/plots/metrics/validation/loss.tsv").read_text().splitlines()
    assert rows[0].split("\t") == ["step", "loss"]
    assert [row.split("\t")[0] for row in rows[1:]] == ["0", "1", "2"]
    assert not list((tmp_path / "cache/checkpoints").iterdir())


def test_a_run_that_fails_leaves_the_curves_of_the_one_before(fit, tmp_path):
    fit()
    before = contents(tmp_path / "metrics"), contents(tmp_path / "model")
    # In the second epoch: the first has been logged by then.
    with pytest.raises(OSError, match="No space left") as caught:
        fit(fail_at=5)
    assert caught.value.filename == str(tmp_path / "metrics/plots")
    assert (contents(tmp_path / "metrics"), contents(tmp_path / "model")) == before
    assert not list((tmp_path / "metrics").glob(".*"))
    # And the next run, which goes on from its checkpoint, has the curves of a whole one.
    fit()
    assert contents(tmp_path / "metrics") == before[0]

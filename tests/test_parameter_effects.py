"""Every parameter of a network has an effect: it changes what a tiny training writes."""

import hashlib
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.isolation import restored_torch_settings
from ztfrep.data.alert_schema import TableInfo
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.frames import write_frame
from ztfrep.data.row_index import write_row_index
from ztfrep.data.vector_writer import assign_vectors, open_vectors_for_writing
from ztfrep.models import alert, object
from ztfrep.training import training_run
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.object_training import train_recurrent
from ztfrep.training.training_run import RunSettings

ROOT = Path(__file__).parents[1]
DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())
SPLIT = ["train"] * 40 + ["validation"] * 12 + ["test"] * 4
# Parameters of the reference trainings, beside those of `params.yaml`: several epochs of few rows.
_TINY = {"batch_size": 8, "epochs": 3, "patience": 10}
TINY = {
    ("autoencoder", "invariant"): _TINY | {"latent_dim": 8},
    ("autoencoder", "published"): _TINY
    | {"latent_dim": 8, "learning_rate": 0.001, "final_epochs": 2},
    ("recurrent", "temporal"): _TINY,
    ("recurrent", "published"): _TINY,
}

# Other values of the parameters, by architecture.
ALERTS = {
    "invariant": {
        "latent_dim": 12, "pca_fraction": 0.3, "dropout": 0.5, "excluded_features": [],
        "stamp_scaling": "asinh", "classification_weight": 0.3, "feature_weight": 0.0,
        "morphology_weight": 0.0, "contrastive_weight": 0.0, "temperature": 1.0,
        "reconstruction_weight": 0.0, "denoising_weight": 0.0, "decoder_width": 8,
        "encoder_widths": [8, 16, 16, 24], "semantic_scale": 1.0, "covariance_shrinkage": 0.0,
        "label_smoothing": 0.2,
        "drop_stamps": 0.9, "drop_context": 0.9, "drop_features": 0.9, "noise": 1.0, "shift": 2,
        "rotation": 20.0, "sampling": "distinct", "optimizer": "adam", "learning_rate": 0.0003,
        "schedule": "constant", "epochs": 2, "batch_size": 5, "patience": 1,
    },
    "published": {
        "latent_dim": 12, "dropout": 0.1, "stamp_scaling": "minmax", "loss": "cross_entropy",
        "reconstruction_weight": 0.1, "classification_weight": 1.0, "sampling": "distinct",
        "optimizer": "adamw", "learning_rate": 0.003, "schedule": "cosine", "epochs": 2,
        "batch_size": 5, "final_batch_size": 7, "final_epochs": 1, "patience": 1,
    },
}  # fmt: skip
OBJECTS = {
    "temporal": {
        "cell": "lstm", "hidden": 8, "layers": 2, "dropout": 0.6, "class_balance": "weights",
        "forecast_weight": 2.0, "early_weight": 0.9, "drop_alerts": 0.1,
        "max_observations": 2, "optimizer": "sgd", "learning_rate": 0.01,
        "schedule": "constant", "epochs": 2, "batch_size": 5, "patience": 1,
    },
    "published": {
        "cell": "lstm", "hidden": 8, "layers": 1, "dropout": 0.6, "class_balance": "oversample",
        "max_observations": 2, "optimizer": "sgd", "learning_rate": 0.01, "schedule": "cosine",
        "epochs": 2, "batch_size": 5, "patience": 1,
    },
}  # fmt: skip
# Parameters that have no effect on these trainings, with the reason or the tests of their effect.
TESTED_ELSEWHERE = {
    "source": "the data; tests/sources",
    "seed": "of training; tests/training/test_fit.py",
    "threads": "may change the order of sums",
    "precision": "tests/training/test_fit.py",
    "sources": "the data; tests/sources",
    "budget": "epochs where a network's own are null; tests/test_params.py",
    "convert": "the split of the series; tests/data/test_splits.py",
    "encode": "may change the order of sums",
    "evaluate": "probes, baselines and figures; tests/evaluation",
    "autoencoder.architecture": "all architectures are tested",
    "autoencoder.weights": "tests/training",
    "autoencoder.start": "tests/training/test_released_encoder.py",
    "autoencoder.released": "tests/training/test_released_encoder.py",
    "recurrent.architecture": "all architectures are tested",
    "recurrent.weights": "tests/training",
}
CASES = [
    *(("autoencoder", name, key) for name, values in ALERTS.items() for key in values),
    *(("recurrent", name, key) for name, values in OBJECTS.items() for key in values),
]


def leaves(table, key=""):
    for name, value in table.items():
        inner = f"{key}.{name}".strip(".")
        yield from leaves(value, inner) if isinstance(value, dict) else [inner]


def test_every_parameter_is_tested_or_listed_with_its_reason():
    tested = {".".join(case) for case in CASES}
    for leaf in leaves(DEFAULT):
        listed = any(leaf == name or leaf.startswith(f"{name}.") for name in TESTED_ELSEWHERE)
        assert (leaf in tested) != listed, leaf


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a stamps table and encoded series of few rows, with classes of unequal size."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    n = len(SPLIT)
    label = random.choice(5, n, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    columns = {
        "object_id": [f"ZTF{row:04d}" for row in range(n)],
        "detection": np.zeros(n),
        "split": SPLIT,
        "label": label,
        "n_copies": random.integers(1, 4, n),
        "stamps": random.normal(label[:, None, None, None], 1, (n, 3, 42, 42)).astype(np.float32),
    }
    columns |= {name: random.uniform(1, 5, n) for name in ALERCE_FEATURES.names}
    with AlertWriter(folder / "stamps.parquet", TableInfo(42, 42, "counts", "physical")) as writer:
        writer.write(columns)

    index = pd.DataFrame({"split": SPLIT, "label": label % 3})
    index["row"] = index.groupby("split").cumcount()
    index.attrs["classes"] = ["AGN", "SN", "VS"]
    steps = 4
    split, row = np.repeat(SPLIT, steps), np.repeat(index["row"], steps)
    step = np.tile(np.arange(steps), n)
    vectors = random.normal(0, 1, (n * steps, 6)) + np.repeat(label % 3, steps)[:, None]
    with open_vectors_for_writing(folder / "series.npy", index, (steps, 6), "<f8", "<f8") as splits:
        assign_vectors(splits, [vectors], split, row.to_numpy(), step)
    write_row_index(folder / "series.npy", index)
    observations = pd.DataFrame(
        {
            "split": split,
            "row": row.to_numpy(),
            "detection": step,
            "step": step,
            "mjd": 59000.0 + step,
            "fid": 1,
            "magpsf": random.normal(19, 1, n * steps),
            "sigmapsf": 0.1,
            "diffmaglim": 20.0,
        }
    )
    write_frame(folder / "observations.parquet", observations)
    return folder


@pytest.fixture(scope="module")
def train(data, tmp_path_factory):
    """Return a function that trains a network and returns a digest of its weights and metrics."""

    def digest(network, architecture, **changes):
        registry = {"autoencoder": alert.get_alert_network, "recurrent": object.get_object_network}
        values = DEFAULT[network][architecture] | TINY[network, architecture] | changes
        config = registry[network](architecture).Config.model_validate(values)
        folder = tmp_path_factory.mktemp("run")
        settings = RunSettings(
            epochs=config.epochs, seed=3, threads=1, precision="float32", start_weights=None,
            checkpoints=folder,
        )  # fmt: skip
        model, metrics = folder / "model", folder / "metrics"
        if network == "autoencoder":
            train_autoencoder(
                data / "stamps.parquet", architecture, config, settings,
                model=model, metrics=metrics,
            )  # fmt: skip
        else:
            train_recurrent(
                data / "series.npy", data / "observations.parquet", architecture, config, settings,
                model=model, metrics=metrics,
            )  # fmt: skip
        tensors = (model / "weights.safetensors").read_bytes()
        # Without the header, which has a checksum of the parameters.
        weights = tensors[8 + int.from_bytes(tensors[:8], "little") :]
        return hashlib.sha256(weights + (metrics / "metrics.json").read_bytes()).hexdigest()

    with pytest.MonkeyPatch.context() as patch, restored_torch_settings():
        # Curves take longer than a tiny training.
        patch.setattr(training_run, "logged_curves", lambda *_: nullcontext(lambda record: None))
        yield digest


@pytest.fixture(scope="module")
def reference(train):
    """Return a function that returns the digest of a training with the parameters of `TINY`."""
    return cache(train)


@pytest.mark.parametrize(("network", "architecture"), sorted({case[:2] for case in CASES}))
def test_the_same_parameters_write_the_same_bytes(train, reference, network, architecture):
    assert train(network, architecture) == reference(network, architecture)


@pytest.mark.parametrize(("network", "architecture", "key"), CASES)
def test_another_value_of_a_parameter_writes_other_bytes(
    train, reference, network, architecture, key
):
    value = {"autoencoder": ALERTS, "recurrent": OBJECTS}[network][architecture][key]
    # With this learning rate the loss of a later epoch is higher, which patience needs.
    changes = {"learning_rate": 0.5, "epochs": 6} if key == "patience" else {}
    expected = reference(network, architecture, **changes)
    assert train(network, architecture, **changes, **{key: value}) != expected

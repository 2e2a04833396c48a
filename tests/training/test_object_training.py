"""Training of a recurrent network of objects on their encoded series."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch

from tests.models.networks import OBJECT_VARIANTS, object_config
from ztfrep.data.alert_schema import SERIES_CLASSES
from ztfrep.data.frames import write_frame
from ztfrep.data.row_index import write_row_index
from ztfrep.data.vector_writer import assign_vectors, open_vectors_for_writing
from ztfrep.encoders.model_folder import CARD, WEIGHTS, load_object_network
from ztfrep.training import object_training
from ztfrep.training.object_training import class_weights, train_recurrent
from ztfrep.training.training_run import RunSettings

pytestmark = pytest.mark.usefixtures("restored_torch_settings", "outside_a_repository")
# Labels of the objects by split, -1 where unlabelled.
LABELS = {
    "train": [0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, -1],
    "validation": [0, 0, 0, 1, 2, -1],
    "test": [0, 1, 2],
}
STEPS, DIM = 3, 6


def write_series(folder, labels=LABELS):
    """Write encoded series of three alerts and an upper limit; return the paths of both tables."""
    generator = np.random.default_rng(0)
    index = pd.DataFrame(
        [(split, label, STEPS) for split, part in labels.items() for label in part],
        columns=["split", "label", "length"],
    )
    index["row"] = index.groupby("split").cumcount()
    index.attrs["classes"] = list(SERIES_CLASSES)
    series, observations = folder / "series.npy", folder / "observations.parquet"
    steps = index.loc[index.index.repeat(STEPS)].reset_index(drop=True)
    step = np.tile(np.arange(STEPS), len(index))
    with open_vectors_for_writing(series, index, (STEPS, DIM), "<f8", "<f8") as splits:
        vectors = generator.normal(size=(len(steps), DIM))
        split, row = steps["split"].to_numpy(), steps["row"].to_numpy()
        assign_vectors(splits, [vectors], split, row, step)
    write_row_index(series, index)
    table = index.loc[index.index.repeat(STEPS + 1), ["split", "row"]].reset_index(drop=True)
    detection = np.tile(np.arange(STEPS + 1), len(index))
    table["detection"], table["step"] = detection, np.where(detection < STEPS, detection, -1)
    table["mjd"], table["fid"] = 59_000.0 + detection, 1 + detection % 2
    for name in ("magpsf", "sigmapsf", "diffmaglim"):
        table[name] = generator.uniform(18, 20, len(table))
    write_frame(observations, table)
    return series, observations


@pytest.fixture
def tables(tmp_path):
    return write_series(tmp_path)


def train(tables, folder, architecture="temporal", *, epochs=1, seed=7, **changes):
    config = object_config(architecture, **{"hidden": 8, "layers": 1, "batch_size": 4} | changes)
    settings = RunSettings(
        epochs=epochs, seed=seed, threads=1, precision="float32",
        start_weights=None, checkpoints=folder.parent / "checkpoints",
    )  # fmt: skip
    train_recurrent(
        *tables, architecture, config, settings,
        model=folder, metrics=folder.parent / f"{folder.name}-metrics",
    )  # fmt: skip
    return load_object_network(folder)


def bytes_of(folder):
    return [(folder / name).read_bytes() for name in (CARD, WEIGHTS)]


@pytest.mark.parametrize(("architecture", "cell"), OBJECT_VARIANTS)
def test_the_same_seed_trains_the_same_bytes_and_another_seed_others(
    tmp_path, tables, architecture, cell
):
    _, card = train(tables, tmp_path / "first", architecture, **cell)
    train(tables, tmp_path / "same", architecture, **cell)
    train(tables, tmp_path / "other", architecture, seed=8, **cell)
    assert bytes_of(tmp_path / "first") == bytes_of(tmp_path / "same")
    assert bytes_of(tmp_path / "first")[1] != bytes_of(tmp_path / "other")[1]
    assert card.classes == list(SERIES_CLASSES)
    assert card.input_dim == DIM
    assert (card.architecture, card.epochs) == (architecture, 1)


def test_statistics_of_the_network_are_those_of_the_train_split(tmp_path, tables):
    network, _ = train(tables, tmp_path / "model")
    with tables[0].open("rb") as file:
        vectors = torch.from_numpy(np.load(file)).float().flatten(0, 1)
    torch.testing.assert_close(network.vector_mean, vectors.mean(dim=0))
    torch.testing.assert_close(network.vector_std, vectors.std(dim=0))


@pytest.fixture
def run(tmp_path, tables, monkeypatch):
    """Return a function that returns the arguments of the training run with a class balance."""

    def capture(class_balance, tables=tables, **changes):
        passed = {}

        def record(network, train, rows, validation, loss, outputs, settings, make_card, **rest):
            passed.update(
                network=network, train=train, rows=rows, validation=validation,
                loss=loss, settings=settings, recipe=rest["recipe"],
            )  # fmt: skip

        monkeypatch.setattr(object_training, "train_and_save", record)
        config = object_config("temporal", hidden=8, class_balance=class_balance, **changes)
        settings = RunSettings(
            epochs=3, seed=7, threads=1, precision="float32",
            start_weights=None, checkpoints=tmp_path,
        )  # fmt: skip
        train_recurrent(
            *tables, "temporal", config, settings, model=tmp_path / "m", metrics=tmp_path / "x"
        )
        return passed

    return capture


def labels_of(run):
    labels = run["train"][-1][run["rows"]]
    return {int(k): int((labels == k).sum()) for k in labels.unique()}


def test_without_class_balance_every_train_object_is_visited_once(run):
    passed = run("none")
    assert passed["rows"].tolist() == list(range(12))
    assert labels_of(passed) == {-1: 1, 0: 6, 1: 3, 2: 2}
    assert len(passed["validation"][-1]) == 6


def test_oversampling_visits_rare_classes_several_times(run):
    assert labels_of(run("oversample")) == {-1: 1, 0: 6, 1: 6, 2: 6}
    assert len(run("oversample")["validation"][-1]) == 6


def test_undersampling_has_equally_many_train_and_validation_objects_of_each_class(run):
    passed = run("undersample")
    assert labels_of(passed) == {0: 2, 1: 2, 2: 2}
    assert sorted(passed["validation"][-1].tolist()) == [0, 1, 2]


def test_class_weights_change_the_loss(run):
    passed, balanced = run("none"), run("weights")
    assert balanced["rows"].tolist() == list(range(12))
    network, rows = passed["network"].eval(), passed["train"]
    objects, labels = network_input(rows), rows[-1]
    expected = network.loss(objects, labels, class_weights(labels.numpy(), 3))["loss"][0]
    torch.testing.assert_close(balanced["loss"](network, rows)["loss"][0], expected)
    unweighted = passed["loss"](network, rows)["loss"][0]
    torch.testing.assert_close(unweighted, network.loss(objects, labels, None)["loss"][0])
    assert not torch.isclose(unweighted, expected)


def network_input(rows):
    return object_training.ObjectInput(*rows[:-1])


def test_class_weights_have_the_same_sum_over_the_rows_of_each_class():
    labels = np.array([0, 0, 0, 1, -1, 2, 2])
    weights = class_weights(labels, 4).double().numpy()
    sums = [weights[labels[labels >= 0]][labels[labels >= 0] == k].sum() for k in range(3)]
    np.testing.assert_allclose(sums, sums[0])
    # A class without rows has a finite weight.
    assert np.isfinite(weights).all()
    assert class_weights(labels, 3).dtype == torch.float32


@pytest.mark.parametrize("train_labels", [[0] * 12, [-1] * 12, [0] * 11 + [-1]])
def test_without_two_classes_of_labels_the_network_is_not_trained(
    run, tmp_path, caplog, train_labels
):
    tables = write_series(tmp_path, LABELS | {"train": train_labels})
    with caplog.at_level(logging.WARNING):
        passed = run("undersample", tables)
    assert passed["settings"].epochs == 0
    assert passed["recipe"].class_balance == "none"
    assert len(passed["rows"]) == 12
    assert caplog.messages == [
        "fewer than two classes of labelled train series: the network is not trained"
    ]


def test_an_untrained_network_is_saved_if_all_labels_are_equal(tmp_path):
    tables = write_series(tmp_path, LABELS | {"train": [0] * 12})
    _, card = train(tables, tmp_path / "model", epochs=5)
    assert card.epochs == card.best_epoch == 0


def test_only_the_last_observations_are_read(run):
    passed = run("none", max_observations=2)
    assert passed["train"][0].shape[1] == 2
    assert set(passed["train"][-2].tolist()) == {2}

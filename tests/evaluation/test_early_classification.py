"""Early classification: what is scored after n detections is known after n detections."""

import numpy as np
import pytest
import torch

from tests.evaluation.small_networks import PROTOCOL, object_network
from tests.evaluation.small_objects import observations, series
from ztfrep.evaluation.early_classification import (
    classify,
    fit_early_probes,
    score_early_classification,
)
from ztfrep.evaluation.object_protocol import BASELINES
from ztfrep.evaluation.object_series import (
    LAST_ALERT,
    LIGHT_CURVE,
    LIGHT_CURVE_AND_ALERT,
    MEAN_ALERT,
    ObjectSeries,
)
from ztfrep.models.object.observation_input import object_input

LENGTHS = [1, 2, 6, 3, 6, 4, 6, 5, 6, 2, 6, 6]
CLASSES = ("AGN", "SN", "VS")
LABELS = np.arange(len(LENGTHS)) % 3


def object_series(lengths=LENGTHS, seed=0, **columns):
    table = observations(lengths, seed).assign(**columns)
    metadata = np.column_stack([table["magpsf"], np.full(len(table), np.nan)])
    return ObjectSeries(series(lengths, seed=seed), np.array(lengths), table, metadata)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_the_first_detections_are_the_observations_until_then(count):
    first = object_series().first_detections(count)
    table = first.observations
    assert first.lengths.tolist() == np.minimum(LENGTHS, count).tolist()
    # Prior detections, which have no vector, alternate with detections.
    assert table.groupby("row").size().tolist() == [2 * n for n in first.lengths]
    assert (table["step"] < count).all()
    assert len(first.metadata) == len(table)
    np.testing.assert_array_equal(first.metadata[:, 0], table["magpsf"])


def test_what_follows_the_detections_changes_neither_the_network_nor_a_baseline():
    network, whole = object_network(), object_series()
    table = whole.observations
    later = table["detection"] >= 4
    changed = object_series(
        magpsf=table["magpsf"].where(~later, 15.0),
        mjd=table["mjd"].where(~later, 60000.0 + table["detection"]),
        fid=table["fid"].where(~later, 2),
    )
    changed.metadata[later] = 99.0
    changed.vectors[:, 2:] += 1.0
    for count, same in ((2, True), (3, False)):
        parts = [part.first_detections(count) for part in (whole, changed)]
        values = [part.baseline_values() for part in parts]
        assert set(values[0]) == {MEAN_ALERT, LAST_ALERT, LIGHT_CURVE, LIGHT_CURVE_AND_ALERT}
        for name, expected in values[0].items():
            assert np.array_equal(values[1][name], expected, equal_nan=True) == same, name
        encoded = [network.encode(part.network_input(network)) for part in parts]
        assert torch.equal(*encoded) == same


def test_means_and_last_vectors_are_those_of_the_detections():
    whole = object_series()
    values = whole.first_detections(3).baseline_values()
    for row, length in enumerate(LENGTHS):
        known = whole.vectors[row, : min(length, 3)]
        np.testing.assert_allclose(values[MEAN_ALERT][row], known.mean(axis=0))
        np.testing.assert_array_equal(values[LAST_ALERT][row], known[-1])
        np.testing.assert_array_equal(values[LIGHT_CURVE_AND_ALERT][row, -6:], known[-1])


def test_series_without_times_or_metadata_have_the_baselines_that_they_can_have():
    unknown = object_series(mjd=np.nan, magpsf=np.nan).baseline_values()
    vectors = ObjectSeries(series(LENGTHS), np.array(LENGTHS)).baseline_values()
    assert set(unknown) == set(vectors) == {MEAN_ALERT, LAST_ALERT}
    without = ObjectSeries(series(LENGTHS), np.array(LENGTHS), observations(LENGTHS))
    fewer, more = (part.baseline_values()[LIGHT_CURVE] for part in (without, object_series()))
    assert more.shape[1] == fewer.shape[1] + 2


def test_some_objects_are_those_rows_in_their_order():
    whole, rows = object_series(), np.array([5, 0, 2])
    some = whole.rows(rows)
    for name, values in some.baseline_values().items():
        np.testing.assert_array_equal(values, whole.baseline_values()[name][rows])
    network = object_network()
    torch.testing.assert_close(
        network.encode(some.network_input(network)),
        network.encode(whole.network_input(network))[torch.from_numpy(rows)],
    )


@pytest.mark.parametrize("architecture", ["temporal", "published"])
def test_the_network_and_all_baselines_are_scored_on_the_same_objects(architecture):
    network = object_network(architecture)
    options = {"seed": 0, "threads": 1}
    probes = fit_early_probes(BASELINES, object_series(), LABELS, PROTOCOL, **options)
    tested = object_series([2, 3, 1], seed=1)
    scores = score_early_classification(
        network, probes, tested, LABELS[:3], CLASSES, name="network", seed=0
    )
    # No tested object has more than three detections.
    assert list(scores) == [1, 2, 3]
    for count, part in scores.items():
        assert list(part.by_classifier) == ["network", *BASELINES]
        assert set(part.paired_differences) == {f"network_minus_{name}" for name in BASELINES}
        first = tested.first_detections(count)
        inputs = object_input(
            first.observations, first.vectors, max_observations=32,
            all_observations=network.reads_all_observations,
        )  # fmt: skip
        with torch.inference_mode():
            expected = network.classify(network.encode(inputs)).argmax(dim=1).numpy()
        np.testing.assert_array_equal(classify(network, inputs), expected)
        accuracy = (expected == LABELS[:3]).mean()
        assert part.by_classifier["network"]["accuracy"] == pytest.approx(accuracy)

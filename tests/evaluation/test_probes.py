import numpy as np
import pytest

from tests.evaluation.small_networks import PROTOCOL
from ztfrep.evaluation.probes import PROBE_KINDS, Probe, fit_probe, fit_probes


def vectors(n=60, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (rng.normal(size=(n, 4)) + 3 * np.eye(4)[labels]).astype(np.float32), labels


@pytest.mark.parametrize("kind", PROBE_KINDS)
def test_a_probe_is_fitted_to_labelled_rows_only(kind):
    train, labels = vectors()
    test, truth = vectors(seed=1)
    predicted = fit_probe(kind, train, labels, seed=0).predict(test)
    assert (predicted == truth).mean() > 0.8
    more = np.concatenate([train, 100 + 0 * train]), np.concatenate([labels, -1 + 0 * labels])
    np.testing.assert_array_equal(fit_probe(kind, *more, seed=0).predict(test), predicted)


def test_only_the_forest_accepts_missing_values():
    train, labels = vectors()
    train[::7, 2] = np.nan
    assert fit_probe("forest", train, labels, seed=0).predict(train).shape == (60,)
    with pytest.raises(ValueError, match="NaN"):
        fit_probe("svm", train, labels, seed=0)


def test_a_probe_needs_two_classes_and_a_known_kind():
    train, labels = vectors()
    with pytest.raises(ValueError, match="two classes, found 1"):
        fit_probe("knn", train, 0 * labels, seed=0)
    with pytest.raises(ValueError, match="Unknown probe 'tree'. Must be one of: linear_probe"):
        fit_probe("tree", train, labels, seed=0)


def test_probes_are_fitted_where_there_are_their_values_and_two_classes():
    train, labels = vectors()
    probes = {"one": Probe("linear_probe", "vectors"), "other": Probe("svm", "absent")}
    values = {"vectors": train}
    fitted = fit_probes(probes, values, labels, PROTOCOL, seed=0, threads=1)
    assert list(fitted) == ["one"]
    assert (fitted["one"].predict(values) == labels).mean() > 0.8
    unlabelled = np.where(labels == 1, 1, -1)
    assert fit_probes(probes, values, unlabelled, PROTOCOL, seed=0, threads=1) == {}


def test_a_fraction_of_the_labels_is_what_the_probe_is_fitted_to():
    train, labels = vectors(300)
    probes = {"knn": Probe("knn", "vectors", 0.1)}
    fitted = fit_probes(probes, {"vectors": train}, labels, PROTOCOL, seed=0, threads=1)
    assert fitted["knn"].classifier[-1].n_samples_fit_ == 30

"""The reference of a network: calibration, prediction sets, anomaly scores, and its file."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax

from tests.model_folders import make_reference, save
from ztfrep.encoders.encoder import load
from ztfrep.encoders.model_folder import WEIGHTS, model_checksum
from ztfrep.encoders.reference import ANOMALY_TERMS, NEIGHBOUR_DISTANCE, Reference
from ztfrep.encoders.reference_files import REFERENCE, read_reference, write_reference
from ztfrep.errors import InputError

N_CLASSES = 3


def draw(n, seed, scale=1.0):
    """Return labels, logits that predict them with noise, and vectors near one point per class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, N_CLASSES, n)
    logits = scale * (2 * np.eye(N_CLASSES)[labels] + generator.normal(size=(n, N_CLASSES)))
    vectors = 5 * np.eye(N_CLASSES, 4)[labels] + generator.normal(size=(n, 4))
    return labels, logits, vectors.astype(np.float32)


def fit(scale=1.0, validation=600):
    labels, _, vectors = draw(200, 1)
    validation_labels, logits, validation_vectors = draw(validation, 2, scale)
    error = np.random.default_rng(3).gamma(2, 1, validation)
    return Reference.fit(vectors, labels, validation_vectors, logits, validation_labels, error)


def test_calibration_undoes_a_scaling_of_the_logits():
    plain, scaled = fit(), fit(scale=5.0)
    assert scaled.temperature == pytest.approx(5 * plain.temperature, rel=1e-3)
    _, logits, _ = draw(50, 4)
    np.testing.assert_allclose(
        plain.probabilities(logits), scaled.probabilities(5 * logits), atol=1e-4
    )


def test_calibrated_probabilities_of_new_rows_have_a_lower_cross_entropy():
    reference = fit(scale=5.0)
    labels, logits, _ = draw(600, 5, scale=5.0)
    rows = np.arange(len(labels))
    calibrated = -np.log(reference.probabilities(logits)[rows, labels]).mean()
    assert calibrated < -log_softmax(logits, axis=1)[rows, labels].mean() - 0.1


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_prediction_sets_hold_the_true_class_of_new_rows_at_the_stated_rate(coverage):
    reference = fit(validation=6000)
    labels, logits, _ = draw(6000, 6)
    sets = reference.prediction_sets(reference.probabilities(logits), coverage)
    for label in range(N_CLASSES):
        rows = labels == label
        assert sets[rows, label].mean() == pytest.approx(coverage, abs=0.04)


def test_a_higher_coverage_only_adds_classes():
    reference = fit()
    probabilities = reference.probabilities(draw(200, 7)[1])
    narrow, wide = (reference.prediction_sets(probabilities, rate) for rate in (0.6, 0.9))
    assert (wide | ~narrow).all() and wide.sum() > narrow.sum()


def test_a_class_with_too_few_validation_rows_is_in_every_set():
    reference = fit(validation=30)
    sets = reference.prediction_sets(reference.probabilities(draw(40, 8)[1]), 0.99)
    assert sets.all()


@pytest.mark.parametrize("coverage", [0, 1, -1, np.nan])
def test_a_coverage_that_is_no_rate_is_refused(coverage):
    with pytest.raises(ValueError, match="expected a number between 0 and 1"):
        fit().prediction_sets(np.full((1, 3), 1 / 3), coverage)


def test_rows_far_from_the_train_rows_have_the_largest_anomaly_scores():
    reference = fit()
    _, logits, vectors = draw(50, 9)
    vectors[:5] += 30
    probabilities = reference.probabilities(logits)
    terms = reference.anomaly_terms(vectors, probabilities, np.ones(50))
    assert set(terms) == set(ANOMALY_TERMS)
    score = reference.anomaly_score(terms)
    assert set(np.argsort(-score)[:5]) == set(range(5))
    percentiles = reference.percentiles(NEIGHBOUR_DISTANCE, terms[NEIGHBOUR_DISTANCE])
    assert (percentiles[:5] == 100).all() and np.median(percentiles[5:]) < 80


def test_the_reconstruction_error_is_a_term_but_does_not_change_the_score():
    reference = fit()
    _, logits, vectors = draw(4, 9)
    probabilities = reference.probabilities(logits)
    scores = [
        reference.anomaly_score(reference.anomaly_terms(vectors, probabilities, error))
        for error in (None, np.full(4, np.nan), np.array([0, 1, 10, 100]))
    ]
    assert np.isfinite(scores[0]).all() and len(set(scores[0])) == 4
    for score in scores[1:]:
        np.testing.assert_array_equal(score, scores[0])


def test_more_uncertain_classes_have_a_larger_score():
    reference = fit()
    vectors = np.repeat(draw(1, 9)[2], 2, axis=0)
    probabilities = np.array([[0.98, 0.01, 0.01], [0.34, 0.33, 0.33]])
    certain, uncertain = reference.anomaly_score(reference.anomaly_terms(vectors, probabilities))
    assert uncertain > certain + 0.1


def test_an_unknown_term_counts_as_zero():
    reference = fit()
    _, logits, vectors = draw(4, 9)
    terms = reference.anomaly_terms(vectors, reference.probabilities(logits))
    unknown = dict(terms, neighbour_distance=np.full(4, np.nan))
    entropy = reference.quantiles["class_entropy"]
    scaled = (terms["class_entropy"] - entropy[50]) / (entropy[84] - entropy[50])
    np.testing.assert_allclose(reference.anomaly_score(unknown), scaled / 2, rtol=1e-5)


def test_without_labels_the_temperature_is_one_and_sets_have_every_class():
    labels, logits, vectors = draw(50, 1)
    reference = Reference.fit(vectors, labels, vectors, logits, np.full(50, -1))
    assert reference.temperature == 1
    assert reference.prediction_sets(reference.probabilities(logits), 0.9).all()


def test_a_reference_is_read_as_it_was_written(tmp_path):
    written = fit()
    write_reference(tmp_path, written, "a")
    read = read_reference(tmp_path, "a", length=4, classes=N_CLASSES)
    for name in ("vectors", "labels", "true_probabilities", "true_labels"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert read.temperature == written.temperature
    assert read.quantiles.keys() == written.quantiles.keys()


def rewrite(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": np.zeros((3, 5), np.float32)}, "vectors float32"),
        ({"vectors": np.zeros((0, 6), np.float32), "labels": np.zeros(0, int)}, "0 vectors"),
        ({"labels": np.full(60, 5)}, "labels outside the classes"),
        ({"labels": np.zeros(59, int)}, "labels int64 (59,)"),
        ({"true_labels": np.full(60, -1)}, "true_labels outside the classes"),
        ({"temperature": 0.0}, "a temperature of 0.0"),
        ({"temperature": np.nan}, "temperature with numbers that are not finite"),
        ({"quantiles": {"class_entropy": np.zeros(5, np.float32)}}, "quantiles.class_entropy"),
        ({"quantiles": {"other": np.zeros(101, np.float32)}}, "a tensor 'quantiles.other'"),
    ],
)
def test_a_reference_of_other_shapes_or_values_is_refused_in_one_line(tmp_path, changes, message):
    write_reference(tmp_path, make_reference(6, 5, **changes), "a")
    with pytest.raises(InputError, match="reference.safetensors: found") as error:
        read_reference(tmp_path, "a", length=6, classes=5)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_reference_of_other_weights_or_with_changed_bytes_is_refused(tmp_path):
    save(tmp_path, "alert-invariant")
    path = tmp_path / REFERENCE
    data = path.read_bytes()
    write_reference(tmp_path, make_reference(6, 5), "other weights")
    with pytest.raises(InputError, match="changed, or of other weights"):
        load(tmp_path)
    path.write_bytes(data[:-4] + b"\x01\x01\x01\x01")
    with pytest.raises(InputError, match="changed, or of other weights"):
        load(tmp_path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="a safetensors file that is broken"):
        load(tmp_path)
    path.write_bytes(b"no safetensors")
    with pytest.raises(InputError, match="expected"):
        load(tmp_path)


def test_without_a_reference_vectors_are_computed_and_probabilities_refused(tmp_path):
    save(tmp_path, "alert-invariant")
    (tmp_path / REFERENCE).unlink()
    encoder = load(tmp_path)
    assert len(encoder.checksum) == 64 and encoder.checksum == model_checksum(tmp_path)
    assert (tmp_path / WEIGHTS).is_file()
    alerts = type("None", (), {})()
    with pytest.raises(InputError, match="no reference.safetensors; expected .* dvc repro"):
        encoder.classify(alerts)

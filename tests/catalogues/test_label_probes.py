"""Probes of a user's own classes: their scores are honest, and their files are safe to read."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.catalogues.classified_catalogues import save_model_folder, write
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.probe_files import load_probe, save_probe
from ztfrep.catalogues.probe_training import fit_label_probe
from ztfrep.encoders.named_arrays import sha256_of_arrays
from ztfrep.encoders.state_dicts import read_metadata
from ztfrep.errors import InputError

CLASSES = ("RR Lyrae", "Mira, long", "ブレーザー")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_model_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def labelled(encoder, tmp_path_factory):
    return write(tmp_path_factory.mktemp("alerts") / "alerts.parquet", encoder, n=240, spread=2)


@pytest.fixture(scope="module")
def probe(labelled):
    return fit_label_probe(*labelled, CLASSES)


def test_new_rows_are_classified_as_well_as_the_cross_validation_says(probe, encoder, tmp_path):
    new, truth = write(tmp_path / "new.parquet", encoder, n=900, spread=2, seed=5)
    probabilities = probe.probabilities(new)
    recall = np.mean([(probabilities.argmax(axis=1) == k)[truth == k].mean() for k in range(3)])
    scores = probe.figures["probe"]
    assert scores["balanced_accuracy_low"] - 0.03 < recall < scores["balanced_accuracy_high"] + 0.03
    assert recall > 0.7
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert scores["balanced_accuracy"] == pytest.approx(np.mean(list(scores["recall"].values())))
    assert probe.figures["majority_class"]["balanced_accuracy"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_prediction_sets_hold_the_class_of_new_rows_at_about_the_stated_rate(
    probe, encoder, tmp_path, coverage
):
    new, truth = write(tmp_path / "new.parquet", encoder, n=900, spread=2, seed=6)
    sets = probe.prediction_sets(probe.probabilities(new), coverage)
    assert sets[np.arange(900), truth].mean() == pytest.approx(coverage, abs=0.05)


def test_alerts_of_an_object_do_not_show_its_class_to_the_others(encoder, tmp_path):
    """The classes are random; vectors of 40 numbers of 60 objects are separated anyway."""
    catalogue, _ = write(
        tmp_path / "a.parquet", encoder, n=240, alerts_per_object=4, spread=9, length=40
    )
    labels = np.random.default_rng(0).permutation(np.arange(60) % 2).repeat(4)
    probe = fit_label_probe(catalogue, labels, ("a", "b"))
    assert (probe.probabilities(catalogue).argmax(axis=1) == labels).mean() > 0.8
    assert probe.figures["objects"] == 60
    assert probe.figures["probe"]["balanced_accuracy"] < 0.65


def test_two_classes_have_the_probabilities_of_scikit_learn(labelled):
    catalogue, truth = labelled
    probe = fit_label_probe(catalogue, np.where(truth == 2, -1, truth), CLASSES)
    assert probe.classes == CLASSES[:2] and probe.coefficients.shape == (2, 6)
    rows, vectors = truth < 2, catalogue.vectors().astype(np.float64)
    scaler = StandardScaler().fit(vectors[rows])
    model = LogisticRegression(C=probe.figures["c"], class_weight="balanced", max_iter=5000)
    model.fit(scaler.transform(vectors[rows]), truth[rows])
    logits = probe.logits(vectors)
    np.testing.assert_allclose(
        1 / (1 + np.exp(logits[:, 0] - logits[:, 1])),
        model.predict_proba(scaler.transform(vectors))[:, 1],
        atol=1e-4,
    )


def test_a_class_of_few_objects_is_dropped_by_name(labelled):
    catalogue, truth = labelled
    labels = truth.copy()
    labels[np.flatnonzero(truth == 1)[4:]] = -1
    probe = fit_label_probe(catalogue, labels, CLASSES)
    assert probe.classes == (CLASSES[0], CLASSES[2])
    assert probe.figures["dropped_classes"] == {CLASSES[1]: 4}
    assert fit_label_probe(catalogue, labels, CLASSES, folds=4).figures["dropped_classes"] == {}
    labels[truth == 2] = -1
    with pytest.raises(InputError, match="1 classes of 5 or more objects"):
        fit_label_probe(catalogue, labels, CLASSES)
    with pytest.raises(InputError, match="no label"):
        fit_label_probe(catalogue, labels * 0 - 1, ())


def test_many_rows_are_sampled_by_class(labelled):
    figures = fit_label_probe(*labelled, CLASSES, max_rows=60).figures
    assert (figures["rows"], figures["labelled_rows"]) == (60, 240)
    assert set(figures["rows_by_class"].values()) == {20}


def test_a_probe_of_objects_reads_no_alerts_and_no_vectors_of_another_model(
    probe, labelled, encoder, tmp_path
):
    objects, truth = write(tmp_path / "objects.parquet", encoder, rows=OBJECTS, n=60)
    of_objects = fit_label_probe(objects, truth, CLASSES)
    assert of_objects.probabilities(objects).shape == (60, 3)
    with pytest.raises(InputError, match="found a catalogue of alerts; expected one of objects"):
        of_objects.probabilities(labelled[0])
    encoder.checksum, checksum = "another", encoder.checksum
    other, _ = write(tmp_path / "other.parquet", encoder, n=9)
    encoder.checksum = checksum
    with pytest.raises(InputError, match="found vectors of another model"):
        probe.probabilities(other)


def test_a_saved_probe_computes_the_same_and_its_bytes_are_reproducible(probe, labelled, tmp_path):
    catalogue, truth = labelled
    first = save_probe(tmp_path / "a", "mine", probe)
    assert first == tmp_path / "a/probes/mine.safetensors"
    again = fit_label_probe(catalogue, truth, CLASSES)
    second = save_probe(tmp_path / "b", "mine", again)
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()
    loaded = load_probe(tmp_path / "a", "mine")
    probabilities = probe.probabilities(catalogue)
    np.testing.assert_array_equal(loaded.probabilities(catalogue), probabilities)
    np.testing.assert_array_equal(
        loaded.prediction_sets(probabilities, 0.9), probe.prediction_sets(probabilities, 0.9)
    )
    assert (loaded.classes, loaded.figures) == (probe.classes, probe.figures)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "/etc/a", "a/b", "a\\b", "a\0", "a.b", "-a", "a" * 65, "é", "a\n"],
)
def test_a_name_cannot_leave_the_folder(probe, tmp_path, name):
    for call in (load_probe, lambda *where: save_probe(*where, probe)):
        with pytest.raises(InputError, match="the name of the probe"):
            call(tmp_path / "model", name)
    assert list(tmp_path.iterdir()) == []


def refused(folder):
    with pytest.raises(InputError) as error:
        load_probe(folder, "mine")
    message = str(error.value)
    assert "\n" not in message and message.isprintable()
    return message


@pytest.fixture
def saved(probe, tmp_path):
    return save_probe(tmp_path, "mine", probe)


def test_a_missing_probe_is_refused_with_the_names_of_the_others(saved, tmp_path):
    with pytest.raises(InputError, match="no probe 'other' among: 'mine'"):
        load_probe(tmp_path, "other")
    saved.with_suffix(".json").unlink()
    assert "no such file" in refused(tmp_path)
    with pytest.raises(InputError, match="among: none"):
        load_probe(tmp_path / "empty", "other")


def rewrite(path, change):
    """Write changed arrays with a checksum that fits."""
    arrays, ((key, sums),) = load_file(path), read_metadata(path).items()
    change(arrays)
    save_file(arrays, path, {key: f"{sums.split()[0]} {sha256_of_arrays(arrays)}"})


def put(name, value):
    return lambda arrays: arrays.update({name: value(arrays[name])})


ARRAYS = [
    (put("coefficients", lambda v: v * np.nan), "coefficients with numbers that are not finite"),
    (put("temperature", lambda v: v * np.inf), "temperature with numbers that are not finite"),
    (put("temperature", lambda v: v * 0), "temperature of 0 or less"),
    (put("scale", lambda v: -v), "scale of 0 or less"),
    (put("coefficients", lambda v: v[:2].copy()), "coefficients float64 (2, 6)"),
    (put("coefficients", lambda v: v.astype(np.float32)), "coefficients float32 (3, 6)"),
    (put("intercept", lambda v: v[:, None].copy()), "intercept float64 (3, 1)"),
    (put("mean", lambda v: np.zeros(7)), "mean float64 (7,)"),
    (put("true_labels", lambda v: v + 1), "true_labels outside the classes"),
    (put("true_labels", lambda v: v - 1), "true_labels outside the classes"),
    (put("true_probabilities", lambda v: v[:3].copy()), "true_probabilities float32 (3,)"),
    (lambda arrays: arrays.pop("mean"), "mean absent"),
    (lambda arrays: arrays.update(more=np.zeros(2)), "an array 'more'"),
]


@pytest.mark.parametrize(("change", "message"), ARRAYS)
def test_numbers_that_cannot_be_are_refused(saved, tmp_path, change, message):
    rewrite(saved, change)
    assert message in refused(tmp_path)


BROKEN = [
    (b"", "an empty file"),
    (b"\x80\x04\x95pickle", "found"),
    (struct.pack("<Q", 2**60) + b"{}", "a header of"),
    (struct.pack("<Q", 2) + b"{}", "a probe that was changed"),
    (bytes((1 << 24) + 1), "16,777,217 bytes; expected at most"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN, ids=lambda value: str(value)[:20])
def test_a_file_that_is_no_probe_is_refused(saved, tmp_path, data, message):
    saved.write_bytes(data)
    assert message in refused(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classes", ["a", "b", "c"], "a probe that was changed, or the card of another"),
        ("classes", ["a"], "classes: List should have at least 2"),
        ("classes", ["a"] * 201, "classes: List should have at most 200"),
        ("vector_length", 10**12, "vector_length"),
        ("model", "another", "a probe that was changed"),
        ("rows", "galaxies", "rows"),
        ("format", "ztfrep-probe-9", "format"),
        ("more", 1, "more"),
        ("figures", float("nan"), "no JSON"),
    ],
)
def test_a_changed_card_is_refused(saved, tmp_path, key, value, message):
    path = saved.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert message in refused(tmp_path)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"[" * 100_000, b"\xff\xfe{}", b" " * ((1 << 20) + 1)], ids=len
)
def test_a_card_that_is_no_card_is_refused(saved, tmp_path, text):
    saved.with_suffix(".json").write_bytes(text)
    assert "mine.json" in refused(tmp_path)

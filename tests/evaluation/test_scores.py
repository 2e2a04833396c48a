import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from ztfrep.evaluation import scores as evaluation

CLASSES = ("AGN", "SN", "VS")


def vectors(n=60, classes=3, seed=0, apart=3.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (rng.normal(size=(n, 4)) + apart * np.eye(4)[labels]).astype(np.float32), labels


def images(n=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 3, 4, 4)).astype(np.float32), rng.random((n, 3, 4, 4)) > 0.2


def test_reconstruction_by_hand():
    pixels, observed = np.zeros((2, 2, 1, 2)), np.ones((2, 2, 1, 2), bool)
    again = pixels.copy()
    again[0, 0, 0, 0] = 0.2
    found = evaluation.reconstruction(pixels, observed, again, ("science", "template"))
    assert found["mse"] == pytest.approx(0.04 / 8)
    assert found["mse_science"] == pytest.approx(0.01)
    assert found["psnr_science"] == pytest.approx(20)
    assert found["psnr_template"] == pytest.approx(300)


def test_masked_pixels_never_count():
    pixels, observed = images()
    again = pixels + 0.1
    spoilt = np.where(observed, again, 1e6)
    names = ("science", "template", "difference")
    assert evaluation.reconstruction(pixels, observed, again, names) == evaluation.reconstruction(
        pixels, observed, spoilt, names
    )
    with pytest.raises(ValueError, match="no observed pixel"):
        evaluation.reconstruction(pixels, np.zeros_like(observed), again, names)


def test_what_is_not_a_number_is_refused_where_it_would_count():
    pixels, observed = images()
    again = pixels.copy()
    again[0, 0][observed[0, 0]] = np.nan
    names = ("science", "template", "difference")
    for original, decoded in ((pixels, again), (again, pixels), (pixels, again + np.inf)):
        with pytest.raises(ValueError, match="observed pixels or their reconstructions"):
            evaluation.reconstruction(original, observed, decoded, names)
    observed[0, 0] = False
    assert evaluation.reconstruction(pixels, observed, again, names)["mse"] == 0


def test_classification_is_scikit_learns():
    rng = np.random.default_rng(1)
    labels, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    found = evaluation.classification(labels, predicted, CLASSES)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found["recall"]["SN"] == pytest.approx((predicted[labels == 1] == 1).mean())


def test_unlabelled_rows_and_absent_classes_count_nowhere():
    labels, predicted = np.array([0, 0, 2, 2, -1]), np.array([0, 1, 2, 2, 0])
    found = evaluation.classification(labels, predicted, CLASSES)
    assert found == {
        "accuracy": 0.75,
        "balanced_accuracy": 0.75,
        "macro_f1": pytest.approx((2 / 3 + 1) / 2),
        "recall": {"AGN": 0.5, "VS": 1.0},
    }
    with pytest.raises(ValueError, match="no row is labelled"):
        evaluation.classification(labels[4:], predicted[4:], CLASSES)


@pytest.mark.parametrize("stray", [-1, 3])
def test_a_class_that_is_none_is_refused_and_never_dropped(stray):
    # Dropping the second row would leave a perfect score.
    labels, predicted = np.array([0, 1, 1]), np.array([0, stray, 1])
    with pytest.raises(ValueError, match=f"predicted classes from {min(stray, 0)} to"):
        evaluation.classification(labels, predicted, CLASSES)
    with pytest.raises(ValueError, match="true classes from 0 to 3, expected 0 to 2"):
        evaluation.confusion(np.array([0, 1, 3]), labels, CLASSES)


def test_the_order_of_rows_changes_nothing():
    rng = np.random.default_rng(2)
    labels, predicted = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    order = rng.permutation(50)
    assert evaluation.classification(labels, predicted, CLASSES) == evaluation.classification(
        labels[order], predicted[order], CLASSES
    )


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], 40)
    caught = 0
    for repeat in range(200):
        hit = rng.random(120) < 0.8
        predicted = np.where(hit, labels, (labels + 1) % 3)
        low, high = evaluation.bootstrap_interval(
            labels, predicted, "balanced_accuracy", seed=repeat, repeats=300
        )
        assert low <= hit.mean() <= high
        caught += low <= 0.8 <= high
    assert 175 <= caught <= 200


def test_an_interval_narrows_with_more_rows_and_repeats_by_seed():
    labels = np.tile([0, 1, 2], 30)
    predicted = np.where(np.arange(90) % 4 == 0, (labels + 1) % 3, labels)
    few = evaluation.bootstrap_interval(labels, predicted, "macro_f1", seed=0)
    many = evaluation.bootstrap_interval(
        np.tile(labels, 25), np.tile(predicted, 25), "macro_f1", seed=0
    )
    assert (many[1] - many[0]) < (few[1] - few[0]) / 3
    assert few == evaluation.bootstrap_interval(labels, predicted, "macro_f1", seed=0)


def test_an_interval_of_one_class_is_a_point():
    rows = np.zeros(5, dtype=int)
    assert evaluation.bootstrap_interval(rows, rows, "accuracy", seed=0) == (1, 1)


def test_an_interval_needs_labelled_rows_real_classes_and_a_known_metric():
    labels = np.array([0, 1, 1])
    with pytest.raises(ValueError, match="no row is labelled"):
        evaluation.bootstrap_interval(-1 + 0 * labels, labels, "accuracy", seed=0)
    with pytest.raises(ValueError, match="predicted classes from -1 to 1"):
        evaluation.bootstrap_interval(labels, np.array([0, -1, 1]), "accuracy", seed=0)
    with pytest.raises(ValueError, match="Unknown metric 'f2'. Must be one of: accuracy"):
        evaluation.bootstrap_interval(labels, labels, "f2", seed=0)


@pytest.mark.parametrize("kind", evaluation.PROBES)
def test_a_probe_learns_from_labelled_rows_alone(kind):
    train, labels = vectors()
    test, truth = vectors(seed=1)
    probe = evaluation.fit_probe(kind, train, labels, seed=0)
    predicted = probe.predict(test)
    assert (predicted == truth).mean() > 0.8
    junk = np.concatenate([train, 100 + 0 * train]), np.concatenate([labels, -1 + 0 * labels])
    again = evaluation.fit_probe(kind, *junk, seed=0).predict(test)
    np.testing.assert_array_equal(again, predicted)


def test_only_the_forest_admits_what_is_missing():
    train, labels = vectors()
    train[::7, 2] = np.nan
    assert evaluation.fit_probe("forest", train, labels, seed=0).predict(train).shape == (60,)
    with pytest.raises(ValueError, match="NaN"):
        evaluation.fit_probe("svm", train, labels, seed=0)


def test_a_probe_needs_two_classes_and_a_known_name():
    train, labels = vectors()
    with pytest.raises(ValueError, match="two classes, found 1"):
        evaluation.fit_probe("knn", train, 0 * labels, seed=0)
    with pytest.raises(ValueError, match="Unknown probe 'tree'. Must be one of: linear_probe"):
        evaluation.fit_probe("tree", train, labels, seed=0)


def test_more_components_reconstruct_better_and_all_of_them_perfectly():
    pixels, observed = images(60)
    everything = np.ones_like(observed)
    errors = []
    for components in (2, 8, 48):
        pca = evaluation.fit_pca(pixels, everything, components)
        again = pca.decode(pca.encode(pixels, everything))
        errors.append(((again - pixels) ** 2).mean())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-10


def test_masked_pixels_do_not_move_the_components():
    pixels, observed = images(60)
    spoilt = np.where(observed, pixels, 77)
    fitted = [evaluation.fit_pca(part, observed, 4) for part in (pixels, spoilt)]
    np.testing.assert_array_equal(
        fitted[0].encode(pixels, observed), fitted[1].encode(spoilt, observed)
    )


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_is_a_plane_and_repeats_by_seed(method):
    plane = evaluation.project(vectors()[0], method, seed=0)
    assert plane.shape == (60, 2)
    assert plane.dtype == np.float32
    np.testing.assert_array_equal(plane, evaluation.project(vectors()[0], method, seed=0))


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("shape", [(20, 4), (1, 4)])
def test_a_map_of_vectors_that_are_all_alike_is_one_point(method, shape):
    plane = evaluation.project(np.ones(shape, dtype=np.float32), method, seed=0)
    np.testing.assert_array_equal(plane, np.zeros((shape[0], 2), dtype=np.float32))


def test_a_map_of_few_rows_is_possible():
    assert evaluation.project(vectors(n=5)[0], "tsne", seed=0).shape == (5, 2)
    with pytest.raises(ValueError, match="Unknown projection 'umap'"):
        evaluation.project(vectors()[0], "umap", seed=0)


def test_a_difference_of_paired_rows_is_surer_than_two_intervals():
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], 60)
    hard = rng.random(180) < 0.2
    wrong = (labels + 1) % 3
    ours = np.where(hard, wrong, labels)
    # What is hard for ours is hard for the rival, who misses some rows besides.
    rival = np.where(hard | (rng.random(180) < 0.06), wrong, labels)
    off, low, high = evaluation.paired_difference(labels, ours, rival, "balanced_accuracy", seed=0)
    scored = [
        evaluation.classification(labels, each, CLASSES)["balanced_accuracy"]
        for each in (ours, rival)
    ]
    assert off == pytest.approx(scored[0] - scored[1])
    assert 0 < low <= off <= high
    ends = [
        evaluation.bootstrap_interval(labels, each, "balanced_accuracy", seed=0)
        for each in (ours, rival)
    ]
    assert ends[0][0] < ends[1][1]
    back = evaluation.paired_difference(labels, rival, ours, "balanced_accuracy", seed=0)
    assert back[0] == -off
    assert back[1] < back[2] < 0


def test_a_method_is_not_ahead_of_itself_and_unlabelled_rows_count_nowhere():
    rng = np.random.default_rng(5)
    labels, ours, rival = rng.integers(0, 3, (3, 90))
    for metric in evaluation.METRICS:
        assert evaluation.paired_difference(labels, ours, ours, metric, seed=0) == (0, 0, 0)
    more = [np.append(rows, [other] * 9) for rows, other in ((labels, -1), (ours, 0), (rival, 1))]
    assert evaluation.paired_difference(*more, "macro_f1", seed=0) == evaluation.paired_difference(
        labels, ours, rival, "macro_f1", seed=0
    )
    with pytest.raises(ValueError, match="Unknown metric 'f2'"):
        evaluation.paired_difference(labels, ours, rival, "f2", seed=0)


def test_a_paired_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(6)
    labels = np.repeat([0, 1, 2], 40)
    caught = 0
    for repeat in range(200):
        ours, rival = (
            np.where(rng.random(120) < share, labels, (labels + 1) % 3) for share in (0.85, 0.75)
        )
        _, low, high = evaluation.paired_difference(
            labels, ours, rival, "balanced_accuracy", seed=repeat, repeats=300
        )
        caught += low <= 0.1 <= high
    assert 178 <= caught <= 200

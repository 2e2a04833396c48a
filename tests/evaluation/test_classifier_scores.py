import numpy as np
import pytest

from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.classifier_scores import resampled_confusions, score_classifiers
from ztfrep.evaluation.metrics import METRICS, confusion

CLASSES = ("AGN", "SN", "VS")
PAIR = ("ours", "baseline")


def score(labels, predicted, *, seed=0, repeats=1000):
    """Return the scores of one classifier."""
    scores = score_classifiers(labels, {"ours": predicted}, CLASSES, seed=seed, repeats=repeats)
    return scores.by_classifier["ours"]


def difference(labels, ours, baseline, *, seed=0, repeats=1000):
    """Return the paired differences of two classifiers."""
    predicted = {"ours": ours, "baseline": baseline}
    scores = score_classifiers(labels, predicted, CLASSES, pairs=[PAIR], seed=seed, repeats=repeats)
    return scores.paired_differences["ours_minus_baseline"]


def test_an_interval_covers_the_true_accuracy_about_as_often_as_it_states():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], 40)
    covered = 0
    for seed in range(200):
        correct = rng.random(120) < 0.8
        predicted = np.where(correct, labels, (labels + 1) % 3)
        scores = score(labels, predicted, seed=seed, repeats=200)
        low, high = scores["balanced_accuracy_low"], scores["balanced_accuracy_high"]
        assert low <= correct.mean() <= high
        covered += low <= 0.8 <= high
    assert 175 <= covered <= 200


def test_a_paired_interval_covers_the_true_difference_about_as_often_as_it_states():
    rng = np.random.default_rng(6)
    labels = np.repeat([0, 1, 2], 40)
    covered = 0
    for seed in range(200):
        ours, baseline = (
            np.where(rng.random(120) < share, labels, (labels + 1) % 3) for share in (0.85, 0.75)
        )
        pair = difference(labels, ours, baseline, seed=seed, repeats=200)
        covered += pair["balanced_accuracy_low"] <= 0.1 <= pair["balanced_accuracy_high"]
    assert 178 <= covered <= 200


def test_an_interval_narrows_with_more_rows_and_repeats_with_its_seed():
    labels = np.tile([0, 1, 2], 30)
    predicted = np.where(np.arange(90) % 4 == 0, (labels + 1) % 3, labels)
    scores = score(labels, predicted)
    scores_of_more = score(np.tile(labels, 25), np.tile(predicted, 25))
    width, width_of_more = (
        part["macro_f1_high"] - part["macro_f1_low"] for part in (scores, scores_of_more)
    )
    assert width_of_more < width / 3
    assert scores == score(labels, predicted)


def test_an_interval_of_one_class_is_a_point():
    rows = np.zeros(5, dtype=int)
    assert set(score(rows, rows).values()) == {1.0}


def test_a_difference_on_paired_rows_is_narrower_than_two_intervals():
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], 60)
    hard = rng.random(180) < 0.2
    wrong = (labels + 1) % 3
    ours = np.where(hard, wrong, labels)
    # The baseline is wrong where ours is, and on some more rows.
    baseline = np.where(hard | (rng.random(180) < 0.06), wrong, labels)
    scores = [score(labels, predicted) for predicted in (ours, baseline)]
    pair = difference(labels, ours, baseline)
    for metric in METRICS:
        assert pair[metric] == pytest.approx(scores[0][metric] - scores[1][metric])
        assert 0 < pair[f"{metric}_low"] <= pair[metric] <= pair[f"{metric}_high"]
    assert scores[0]["balanced_accuracy_low"] < scores[1]["balanced_accuracy_high"]
    reverse = difference(labels, baseline, ours)
    assert reverse["accuracy"] == -pair["accuracy"]
    assert reverse["accuracy_low"] == pytest.approx(-pair["accuracy_high"])


def test_a_difference_uses_the_rows_of_the_scores():
    rng = np.random.default_rng(7)
    labels, ours, baseline = rng.integers(0, 3, (3, 90))
    bootstrap = Bootstrap.within_classes(labels, seed=5, repeats=50)
    samples = resampled_confusions(labels, np.stack([ours, baseline]), 3, bootstrap)
    for rows, (of_ours, of_baseline) in zip(bootstrap.samples(), samples, strict=True):
        np.testing.assert_array_equal(of_ours, confusion(labels[rows], ours[rows], 3))
        np.testing.assert_array_equal(of_baseline, confusion(labels[rows], baseline[rows], 3))
    drawn = METRICS["macro_f1"](samples)
    pair = difference(labels, ours, baseline, seed=5, repeats=50)
    assert pair["macro_f1_low"] == np.quantile(drawn[:, 0] - drawn[:, 1], 0.025)


def test_a_method_does_not_differ_from_itself():
    labels, ours = np.random.default_rng(5).integers(0, 3, (2, 90))
    assert set(difference(labels, ours, ours).values()) == {0.0}


def test_unlabelled_rows_do_not_count():
    labels, ours, baseline = np.random.default_rng(5).integers(0, 3, (3, 90))
    rows = [labels, ours, baseline]
    more = [np.append(part, [other] * 9) for part, other in zip(rows, (-1, 0, 1), strict=True)]
    assert difference(*more) == difference(*rows)
    assert score(*more[:2]) == score(*rows[:2])


def test_other_methods_change_no_scores():
    labels, ours, baseline = np.random.default_rng(5).integers(0, 3, (3, 90))
    both = score_classifiers(labels, {"baseline": baseline, "ours": ours}, CLASSES, seed=0)
    assert both.by_classifier["ours"] == score(labels, ours)


def test_pairs_without_both_methods_are_skipped():
    labels, ours = np.random.default_rng(5).integers(0, 3, (2, 90))
    pairs = [PAIR, ("absent", "ours")]
    scores = score_classifiers(labels, {"ours": ours}, CLASSES, pairs=pairs, seed=0)
    assert scores.paired_differences == {}


def test_scores_need_labelled_rows_and_known_classes():
    labels = np.array([0, 1, 1])
    with pytest.raises(ValueError, match="no row is labelled"):
        score(-1 + 0 * labels, labels)
    with pytest.raises(ValueError, match="predicted classes from -1 to 1"):
        score(labels, np.array([0, -1, 1]))

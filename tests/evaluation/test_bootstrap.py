import numpy as np
import pytest

from ztfrep.evaluation.bootstrap import Bootstrap, with_interval


def test_a_sample_has_the_same_number_of_rows_of_each_class():
    labels = np.array([2, 0, 0, 1, 2, 2, -1])
    for rows in Bootstrap.within_classes(labels, seed=0, repeats=20).samples():
        assert sorted(labels[rows]) == sorted(labels)


def test_a_sample_draws_groups_as_wholes():
    groups = np.array(["b", "a", "c", "b", "b", "c"])
    sizes = set()
    for rows in Bootstrap.of_groups(groups, seed=0, repeats=50).samples():
        counts = np.bincount(rows, minlength=6)
        for name in "abc":
            assert len(set(counts[groups == name])) == 1
        assert sum(counts[groups == name][0] for name in "abc") == 3
        sizes.add(len(rows))
    assert len(sizes) > 1


def test_every_statistic_is_computed_on_the_same_rows():
    values = np.random.default_rng(0).normal(size=(2, 40))
    bootstrap = Bootstrap.within_classes(np.arange(40) % 3, seed=1, repeats=30)
    first, second, difference = (
        bootstrap.distribution(np.mean, array) for array in (*values, values[0] - values[1])
    )
    np.testing.assert_allclose(first - second, difference)
    again = Bootstrap.within_classes(np.arange(40) % 3, seed=1, repeats=30)
    np.testing.assert_array_equal(again.distribution(np.mean, values[0]), first)
    other = Bootstrap.within_classes(np.arange(40) % 3, seed=2, repeats=30)
    assert (other.distribution(np.mean, values[0]) != first).any()


def test_several_statistics_have_the_scores_of_single_ones():
    values = np.random.default_rng(0).normal(size=(30, 2))
    bootstrap = Bootstrap.within_classes(np.zeros(30), seed=0, repeats=50)
    scores = bootstrap.scores(["a", "b"], lambda rows: list(rows.mean(axis=0)), values)
    for name, column in zip("ab", values.T, strict=True):
        for key, value in bootstrap.score(name, np.mean, column).items():
            assert scores[key] == pytest.approx(value)


def test_an_interval_of_rows_covers_the_true_mean_about_as_often_as_it_states():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        values = rng.normal(size=60)
        scores = Bootstrap.within_classes(np.zeros(60), seed=seed, repeats=100).score(
            "mean", np.mean, values
        )
        covered += scores["mean_low"] <= 0 <= scores["mean_high"]
    assert 86 <= covered <= 100


def test_an_interval_of_groups_covers_where_one_of_correlated_rows_does_not():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 8)
    covered = {"groups": 0, "rows": 0}
    for seed in range(100):
        # The rows of a group have the same value.
        values = rng.normal(size=40)[groups]
        for name, bootstrap in (
            ("groups", Bootstrap.of_groups(groups, seed=seed, repeats=100)),
            ("rows", Bootstrap.within_classes(0 * groups, seed=seed, repeats=100)),
        ):
            scores = bootstrap.score("mean", np.mean, values)
            covered[name] += scores["mean_low"] <= 0 <= scores["mean_high"]
    assert 86 <= covered["groups"] <= 100
    assert covered["rows"] < 70


def test_an_interval_is_of_the_middle_95_percent_of_the_samples():
    scores = with_interval("x", 5, np.arange(101.0))
    assert scores == {"x": 5, "x_low": 2.5, "x_high": 97.5}

import numpy as np

from ztfrep.training import sampling


def test_a_balanced_subset_is_balanced_seeded_and_labelled():
    labels = np.repeat([0, 1, 2, -1], [50, 7, 20, 9])
    rows = sampling.balanced_subset(labels, seed=0)
    assert np.bincount(labels[rows]).tolist() == [7, 7, 7]
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sampling.balanced_subset(labels, seed=0))
    assert (rows != sampling.balanced_subset(labels, seed=1)).any()


def test_drawn_rows_keep_rare_classes_whole():
    labels = np.repeat([0, 1, 2], [500, 10, 200])
    rows = sampling.draw_rows(labels, 100, seed=0)
    assert np.bincount(labels[rows]).tolist() == [45, 10, 45]
    assert len(np.unique(rows)) == 100
    np.testing.assert_array_equal(sampling.draw_rows(labels, 710, seed=0), np.arange(710))


def test_a_share_of_each_class_is_drawn_two_rows_at_least_and_none_unlabelled():
    labels = np.repeat([-1, 0, 1, 2], [50, 200, 30, 1])
    rows = sampling.draw_share(labels, 0.1, seed=0)
    assert np.bincount(labels[rows]).tolist() == [20, 3, 1]
    assert (np.diff(rows) > 0).all()
    assert sampling.draw_share(labels, 0.1, seed=0).tolist() == rows.tolist()
    assert sampling.draw_share(labels, 0.1, seed=1).tolist() != rows.tolist()
    assert len(sampling.draw_share(labels, 0.0, seed=0)) == 5
    assert len(sampling.draw_share(np.full(3, -1), 0.5, seed=0)) == 0


def test_classes_weigh_about_alike_once_rows_are_repeated():
    labels = np.repeat([-1, 0, 1, 2], [7, 100, 31, 9])
    times = sampling.copies_for_balance(labels)
    assert np.bincount(labels[labels >= 0], times[labels >= 0]).tolist() == [100, 93, 99]
    assert (times[labels == -1] == 1).all()
    assert sampling.copies_for_balance(np.array([-1, -1])).tolist() == [1, 1]

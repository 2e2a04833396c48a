"""Samples of rows by class."""

import numpy as np

from ztfrep.training import sampling


def test_undersampling_draws_equally_many_rows_of_each_class_and_none_unlabelled():
    labels = np.repeat([0, 1, 2, -1], [50, 7, 20, 9])
    rows = sampling.undersample(labels, seed=0)
    assert np.bincount(labels[rows]).tolist() == [7, 7, 7]
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sampling.undersample(labels, seed=0))
    assert (rows != sampling.undersample(labels, seed=1)).any()
    assert len(sampling.undersample(np.full(3, -1), seed=0)) == 0


def test_a_stratified_sample_has_all_rows_of_a_rare_class():
    labels = np.repeat([0, 1, 2], [500, 10, 200])
    rows = sampling.stratified_sample(labels, 100, seed=0)
    assert np.bincount(labels[rows]).tolist() == [45, 10, 45]
    assert len(np.unique(rows)) == 100
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sampling.stratified_sample(labels, 100, seed=0))
    assert (rows != sampling.stratified_sample(labels, 100, seed=1)).any()


def test_a_stratified_sample_has_all_rows_if_there_are_not_more_than_the_maximum():
    labels = np.repeat([0, 1, 2], [500, 10, 200])
    np.testing.assert_array_equal(sampling.stratified_sample(labels, 710, seed=0), np.arange(710))


def test_a_fraction_of_each_class_has_at_least_two_rows_and_none_unlabelled():
    labels = np.repeat([-1, 0, 1, 2], [50, 200, 30, 1])
    rows = sampling.sample_fraction(labels, 0.1, seed=0)
    assert np.bincount(labels[rows]).tolist() == [20, 3, 1]
    assert (np.diff(rows) > 0).all()
    assert sampling.sample_fraction(labels, 0.1, seed=0).tolist() == rows.tolist()
    assert sampling.sample_fraction(labels, 0.1, seed=1).tolist() != rows.tolist()
    assert len(sampling.sample_fraction(labels, 0.0, seed=0)) == 5
    assert len(sampling.sample_fraction(np.full(3, -1), 0.5, seed=0)) == 0


def test_classes_are_about_equally_common_after_oversampling():
    labels = np.repeat([-1, 0, 1, 2], [7, 100, 31, 9])
    times = sampling.oversampling_counts(labels)
    assert np.bincount(labels[labels >= 0], times[labels >= 0]).tolist() == [100, 93, 99]
    assert (times[labels == -1] == 1).all()
    assert sampling.oversampling_counts(np.array([-1, -1])).tolist() == [1, 1]

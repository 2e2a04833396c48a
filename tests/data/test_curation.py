import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ztfrep.data import curation


def test_identical_rows_and_only_they_share_a_digest():
    rows = np.random.default_rng(0).random((1200, 3, 5)).astype(np.float32)
    rows[700] = rows[3]
    rows[900, 2, 4] = np.nextafter(rows[3, 2, 4], np.float32(2))
    keys = curation.digests(rows)
    assert keys[700] == keys[3]
    assert len(np.unique(keys)) == 1199


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_groups_start_at_their_first_member_and_count_all(values):
    keys = np.array(values)
    first, count, group = curation.first_of_each(keys)
    assert (np.diff(first) > 0).all()
    np.testing.assert_array_equal(keys[first][group], keys)
    assert [values.index(keys[row]) for row in first] == first.tolist()
    assert [values.count(keys[row]) for row in first] == count.tolist()


def test_two_labels_for_one_stamp_are_a_contradiction():
    group = np.array([0, 1, 1, 2, 0])
    labels = np.array([4, 1, 2, 3, 4])
    assert curation.contradictory(labels, group, 3).tolist() == [False, True, False]


def test_a_stamp_without_two_observed_values_is_constant():
    stamps = np.random.default_rng(0).random((4, 3, 5, 5))
    stamps[1, 2] = 0.5
    stamps[2, 0] = np.nan
    stamps[3, 1] = np.nan
    stamps[3, 1, 0, :2] = [1, 2]
    assert curation.is_constant(stamps).tolist() == [False, True, True, False]


def test_one_alert_is_recognised_whatever_its_scaling():
    rng = np.random.default_rng(0)
    science = rng.normal(size=(500, 21, 21)).astype(np.float32)
    gain, offset = rng.uniform(0.1, 1e3, (500, 1, 1)), rng.normal(0, 1e3, (500, 1, 1))
    rescaled = ((science * gain + offset) / 1e3).astype(np.float32)
    same = curation.canonical_digests(science) == curation.canonical_digests(rescaled)
    # A pixel on the edge of two levels may fall to either side by float32's rounding.
    assert same.mean() > 0.95
    other = rng.normal(size=(500, 21, 21)).astype(np.float32)
    assert not np.isin(curation.canonical_digests(other), curation.canonical_digests(science)).any()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.lists(st.integers(60, 400), min_size=2, max_size=4))
def test_a_split_is_whole_stratified_and_without_overlap(seed, sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = curation.split_objects(labels, held_out=0.05, at_least=20, seed=seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    fraction = max(0.05, 20 / min(sizes))
    for held_out in parts[1:]:
        counts = np.bincount(labels[held_out], minlength=len(sizes))
        np.testing.assert_allclose(counts, np.array(sizes) * fraction, atol=2)
        assert counts.min() >= 19
    again = curation.split_objects(labels, held_out=0.05, at_least=20, seed=seed)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_the_published_series_split_as_published():
    labels = np.repeat([0, 1, 2], [26190, 1502, 49454])
    train, validation, test = curation.split_objects(labels, held_out=0.05, at_least=40, seed=7)
    assert sorted([len(validation), len(test)]) == [3857, 3858]
    assert len(train) == 69431
    assert np.abs(np.bincount(labels[test]) - [1309, 75, 2473]).max() <= 1


def test_a_class_of_two_objects_cannot_be_split():
    labels = np.repeat([0.0, 1.0], [50, 2])
    with pytest.raises(ValueError, match="class 1.0 has 2 objects"):
        curation.split_objects(labels, held_out=0.05, at_least=1, seed=0)

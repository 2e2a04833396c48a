import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ztfrep.data import duplicates
from ztfrep.data.stamps import CROP


def test_only_identical_rows_have_equal_digests():
    rows = np.random.default_rng(0).random((1200, 3, 5)).astype(np.float32)
    rows[700] = rows[3]
    rows[900, 2, 4] = np.nextafter(rows[3, 2, 4], np.float32(2))
    keys = duplicates.digests(rows)
    assert keys[700] == keys[3]
    assert len(np.unique(keys)) == 1199


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_groups_start_at_their_first_member_and_count_all(values):
    keys = np.array(values)
    first, count, group = duplicates.group_equal(keys)
    assert (np.diff(first) > 0).all()
    np.testing.assert_array_equal(keys[first][group], keys)
    assert [values.index(keys[row]) for row in first] == first.tolist()
    assert [values.count(keys[row]) for row in first] == count.tolist()


def test_two_labels_for_one_stamp_are_a_contradiction():
    group = np.array([0, 1, 1, 2, 0])
    labels = np.array([4, 1, 2, 3, 4])
    assert duplicates.is_contradictory(labels, group, 3).tolist() == [False, True, False]


def test_a_stamp_without_two_observed_values_is_constant():
    stamps = np.random.default_rng(0).random((4, 3, 5, 5))
    stamps[1, 2] = 0.5
    stamps[2, 0] = np.nan
    stamps[3, 1] = np.nan
    stamps[3, 1, 0, :2] = [1, 2]
    assert duplicates.is_constant(stamps).tolist() == [False, True, True, False]


def test_a_canonical_digest_does_not_change_with_an_affine_scaling():
    rng = np.random.default_rng(0)
    science = rng.normal(size=(500, CROP, CROP)).astype(np.float32)
    gain, offset = rng.uniform(0.1, 1e3, (500, 1, 1)), rng.normal(0, 1e3, (500, 1, 1))
    rescaled = ((science * gain + offset) / 1e3).astype(np.float32)
    same = duplicates.canonical_digests(science) == duplicates.canonical_digests(rescaled)
    # A pixel on the edge of two levels may fall to either side by float32's rounding.
    assert same.mean() > 0.95
    different = rng.normal(size=(500, CROP, CROP)).astype(np.float32)
    digests = duplicates.canonical_digests(science)
    assert not np.isin(duplicates.canonical_digests(different), digests).any()

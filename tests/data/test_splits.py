import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ztfrep.data.splits import split_objects


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.lists(st.integers(60, 400), min_size=2, max_size=4))
def test_splits_are_complete_stratified_and_disjoint(seed, sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = split_objects(labels, test_fraction=0.05, min_test_objects=20, seed=seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    fraction = max(0.05, 20 / min(sizes))
    for part in parts[1:]:
        counts = np.bincount(labels[part], minlength=len(sizes))
        np.testing.assert_allclose(counts, np.array(sizes) * fraction, atol=2)
        assert counts.min() >= 19
    again = split_objects(labels, test_fraction=0.05, min_test_objects=20, seed=seed)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_the_published_series_have_the_published_split_sizes():
    labels = np.repeat([0, 1, 2], [26190, 1502, 49454])
    train, validation, test = split_objects(labels, test_fraction=0.05, min_test_objects=40, seed=7)
    assert sorted([len(validation), len(test)]) == [3857, 3858]
    assert len(train) == 69431
    assert np.abs(np.bincount(labels[test]) - [1309, 75, 2473]).max() <= 1


def test_a_class_of_two_objects_cannot_be_split():
    labels = np.repeat([0.0, 1.0], [50, 2])
    with pytest.raises(ValueError, match="class 1.0 has 2 objects"):
        split_objects(labels, test_fraction=0.05, min_test_objects=1, seed=0)

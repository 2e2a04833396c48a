"""The preprocessing of objects in torch, for exported graphs, is that of tables."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ztfrep.encoders.torch_observations import observations_to_input
from ztfrep.models.object.observation_input import object_input

MAGNITUDES = ("magpsf", "sigmapsf", "diffmaglim")


def both(lengths, steps, *, max_observations, all_observations, seed=0, missing=0.3):
    """Return the input of random objects from a table, and from padded arrays."""
    generator = np.random.default_rng(seed)
    shape, lengths = (len(lengths), steps), np.array(lengths)
    vectors = generator.normal(size=(*shape, 4)).astype(np.float32)
    mask = generator.random(shape) < 0.6
    mask[np.arange(len(lengths)), generator.integers(0, lengths)] = True
    columns = {
        # Some times are equal.
        "mjd": np.sort(np.round(generator.uniform(58_000, 58_010, shape), 1), axis=1),
        "fid": generator.integers(1, 5, shape).astype(float),
        **{name: generator.normal(19, 1, shape) for name in MAGNITUDES},
    }
    for values in columns.values():
        values[generator.random(shape) < missing] = np.nan
    # Padding may hold anything.
    padding = np.arange(steps) >= lengths[:, None]
    columns["mjd"][padding], vectors[padding] = 3.0, np.nan
    row, detection = np.nonzero(~padding)
    step = np.where(mask[row, detection], detection, -1)
    table = pd.DataFrame({"row": row, "detection": detection, "step": step})
    table = table.assign(**{name: values[row, detection] for name, values in columns.items()})
    options = {"max_observations": max_observations, "all_observations": all_observations}
    tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
    computed = observations_to_input(
        torch.from_numpy(vectors),
        torch.from_numpy(mask),
        tensors["mjd"],
        tensors["fid"],
        [tensors[name] for name in MAGNITUDES],
        torch.from_numpy(lengths),
        **options,
    )
    return object_input(table, vectors, **options), computed


def assert_equal(expected, computed):
    np.testing.assert_array_equal(computed.lengths, expected.lengths)
    steps = expected.vector_mask.shape[1]
    for name in ("vectors", "vector_mask", "times", "photometry"):
        values, wanted = getattr(computed, name), getattr(expected, name)
        assert values.dtype == wanted.dtype, name
        np.testing.assert_allclose(values[:, :steps], wanted, rtol=1e-6, atol=1e-6, err_msg=name)
        assert not values[:, steps:].any(), name


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.integers(0, 3),
    st.integers(1, 10),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_padded_arrays_and_a_table_have_the_same_input(lengths, padding, maximum, everything, seed):
    steps = max(lengths) + padding
    assert_equal(
        *both(lengths, steps, max_observations=maximum, all_observations=everything, seed=seed)
    )


@pytest.mark.parametrize("missing", [0.0, 1.0])
def test_all_or_no_values_may_be_missing(missing):
    expected, computed = both([3, 1], 4, max_observations=8, all_observations=True, missing=missing)
    assert_equal(expected, computed)
    assert computed.times[0].any() == (missing == 0)

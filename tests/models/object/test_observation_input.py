"""From the observations of objects to the input of a network of objects."""

import numpy as np
import pandas as pd
import pytest

from ztfrep.models.object.base import MAGNITUDE, MAGNITUDE_MASK
from ztfrep.models.object.observation_input import MAGNITUDE_SCALE, object_input

# Two objects: four observations, two of which have vectors, and one observation with a vector.
OBSERVATIONS = pd.DataFrame(
    {
        "row": [0, 0, 0, 0, 1],
        "detection": [0, 1, 2, 3, 0],
        "step": [-1, 0, -1, 1, 0],
        "mjd": [100.0, 101.0, 103.0, 110.0, np.nan],
        "fid": [1, 2, 1, 3, None],
        "magpsf": [np.nan, 19.0, 20.5, 17.5, np.nan],
        "sigmapsf": [np.nan, 0.1, 0.2, 0.0, np.nan],
        "diffmaglim": [20.0, 21.0, np.nan, 20.0, np.nan],
    }
)
VECTORS = np.arange(2 * 2 * 3, dtype=np.float64).reshape(2, 2, 3) + 1


def inputs(observations=OBSERVATIONS, vectors=VECTORS, maximum=10, all_observations=True):
    # The order of rows must not matter.
    return object_input(
        observations.sample(frac=1, random_state=0),
        vectors,
        max_observations=maximum,
        all_observations=all_observations,
    )


def test_observations_are_in_time_order_with_their_vectors():
    objects = inputs()
    assert objects.lengths.tolist() == [4, 1]
    assert objects.vector_mask.tolist() == [[False, True, False, True], [True, False, False, False]]
    np.testing.assert_array_equal(objects.vectors[0, [1, 3]], VECTORS[0])
    np.testing.assert_array_equal(objects.vectors[1, 0], VECTORS[1, 0])
    assert (objects.vectors.numpy()[~objects.vector_mask.numpy()] == 0).all()
    assert objects.observation_mask().tolist() == [[True] * 4, [True, False, False, False]]


def test_times_are_logarithms_of_days_since_the_previous_and_the_first_observation():
    gaps, days, mask = inputs().times[0].T.numpy()
    np.testing.assert_allclose(np.expm1(gaps), [0, 1, 2, 7], rtol=1e-6)
    np.testing.assert_allclose(np.expm1(days), [0, 1, 3, 10], rtol=1e-6)
    assert mask.tolist() == [1, 1, 1, 1]


def test_times_and_magnitudes_without_values_are_0_and_masked():
    objects = inputs()
    assert (objects.times[1] == 0).all()
    assert (objects.photometry[1] == 0).all()


def test_magnitudes_are_scaled_and_masked_and_filters_are_one_hot():
    photometry = inputs().photometry[0].numpy()
    np.testing.assert_allclose(photometry[:, 0], [0, 0, 1, -1])
    np.testing.assert_allclose(photometry[:, 1], [0, 0, 1, -1], atol=1e-6)
    np.testing.assert_allclose(photometry[:, 2], [0, 1, 0, 0])
    assert photometry[:, 3:6].tolist() == [[0, 0, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]]
    assert photometry[:, 6:].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_one_unit_of_photometry_is_the_magnitude_scale():
    faint = OBSERVATIONS.assign(magpsf=OBSERVATIONS["magpsf"] + MAGNITUDE_SCALE)
    difference = inputs(faint).photometry - inputs().photometry
    has_magnitude = inputs().photometry[..., MAGNITUDE_MASK] > 0
    assert difference[..., MAGNITUDE][has_magnitude].tolist() == pytest.approx([1, 1, 1])


def test_the_last_observations_are_read_and_their_days_counted_from_the_first():
    objects = inputs(maximum=2)
    assert objects.lengths.tolist() == [2, 1]
    gaps, days, _ = objects.times[0].T.numpy()
    np.testing.assert_allclose(np.expm1(days), [3, 10], rtol=1e-6)
    np.testing.assert_allclose(np.expm1(gaps), [2, 7], rtol=1e-6)


def test_without_all_observations_only_those_with_a_vector_are_read():
    objects = inputs(all_observations=False)
    assert objects.lengths.tolist() == [2, 1]
    np.testing.assert_array_equal(objects.vectors[0], VECTORS[0])
    assert objects.vector_mask.tolist() == [[True, True], [True, False]]


def test_the_input_of_no_objects_is_empty():
    objects = inputs(OBSERVATIONS[:0], np.empty((0, 2, 3)))
    assert [len(part) for part in objects] == [0] * 5
    assert objects.vectors.shape[2] == 3


def test_days_are_exact_although_dates_are_large():
    # A float32 of a date has a resolution of minutes.
    seconds = 10 / 86_400
    table = OBSERVATIONS[:2].assign(mjd=[59_000.0, 59_000.0 + seconds])
    _, days, _ = inputs(table, VECTORS[:1]).times[0].T.numpy()
    assert np.expm1(days[1]) == pytest.approx(seconds, rel=1e-3)

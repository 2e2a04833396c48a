"""Vectors of alerts as series of their objects."""

import numpy as np
import pandas as pd

from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.encoders.object_batches import object_series

VECTORS = np.arange(4 * 3, dtype=np.float32).reshape(4, 3)
# An alert of B; an upper limit and two alerts of A; an upper limit of C, its alert, and another
# upper limit: in time order by object.
HISTORY = pd.DataFrame(
    {
        "object_id": ["B", "A", "A", "A", "C", "C", "C"],
        "mjd": [5.0, 1.0, 2.0, 3.0, 1.0, 9.0, 9.5],
        "fid": [1, 1, 2, 1, 2, 1, 2],
        "magpsf": 19.0,
        "sigmapsf": 0.1,
        "diffmaglim": 20.0,
        "alert": [0, -1, 2, 1, -1, 3, -1],
    }
)


def alerts(history=HISTORY):
    identity = pd.DataFrame({"object_id": ["B", "A", "A", "C"], "mjd": [5.0, 3.0, 2.0, 9.0]})
    return Alerts(
        identity,
        np.zeros((4, 3, 21, 21), np.float32),
        np.zeros((4, len(ALERCE_FEATURES))),
        history=history,
    )


def test_objects_are_in_ascending_order_of_their_ids():
    ids, observations, series = object_series(alerts().observations(), VECTORS)
    assert ids.tolist() == ["A", "B", "C"]
    assert dict(zip(observations["object_id"], observations["row"], strict=True)) == {
        "A": 0, "B": 1, "C": 2,
    }  # fmt: skip
    assert len(series) == 3


def test_the_vectors_of_an_object_are_those_of_its_alerts_in_time_order_then_zeros():
    _, _, series = object_series(alerts().observations(), VECTORS)
    assert series.shape == (3, 2, 3)
    np.testing.assert_array_equal(series[0], VECTORS[[2, 1]])
    np.testing.assert_array_equal(series[1], [VECTORS[0], np.zeros(3)])
    np.testing.assert_array_equal(series[2], [VECTORS[3], np.zeros(3)])


def test_every_observation_has_its_position_and_the_step_of_its_vector():
    _, observations, _ = object_series(alerts().observations(), VECTORS)
    assert observations["detection"].tolist() == [0, 0, 1, 2, 0, 1, 2]
    assert observations["step"].tolist() == [0, -1, 0, 1, -1, 0, -1]


def test_without_a_history_the_alerts_are_the_only_observations():
    ids, observations, series = object_series(alerts(history=None).observations(), VECTORS)
    assert ids.tolist() == ["A", "B", "C"]
    assert len(observations) == 4
    np.testing.assert_array_equal(series[0], VECTORS[[2, 1]])

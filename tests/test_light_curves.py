"""The statistics of light curves that the simulated survey is compared by."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.light_curves import light_curve_statistics, summarise, to_markdown
from benchmarks.mistakes import most_confident_mistakes


def observations(*rows):
    """Rows of object, day, filter, magnitude (None for an upper limit), negative, alert."""
    columns = ["object_id", "mjd", "fid", "magpsf", "isdiffpos", "has_stamps"]
    frame = pd.DataFrame(rows, columns=columns).astype({"magpsf": float, "isdiffpos": float})
    frame["has_stamps"] = frame["has_stamps"].astype(bool)
    return frame.assign(sigmapsf=0.1, diffmaglim=20.5)


def test_a_window_is_of_thirty_days_and_of_one_object():
    values = light_curve_statistics(
        observations(
            ("a", 0.0, 1, 18.0, 0, False),  # More than 30 days before the alert
            ("a", 12.0, 1, 18.4, 0, False),
            ("a", 20.0, 2, None, np.nan, False),
            ("a", 40.0, 1, 18.9, 0, True),
            ("b", 39.0, 1, 19.0, 1, True),
        )
    )
    assert values["detections in 30 days before"].tolist() == [1, 0]
    assert values["upper limits in 30 days before"].tolist() == [1, 0]
    assert values["alerts with an earlier detection"].tolist() == [True, False]
    assert values["days since first detection"].tolist() == [28.0]
    assert values["magpsf of alerts"].tolist() == [18.9, 19.0]
    assert values["diffmaglim of upper limits"].tolist() == [20.5]
    assert values["negative subtractions"].mean() == pytest.approx(0.25)


def test_changes_are_of_one_filter_and_sign_and_colours_of_one_night():
    values = light_curve_statistics(
        observations(
            ("a", 10.0, 1, 18.0, 0, False),
            ("a", 10.1, 2, 17.6, 0, False),
            ("a", 10.2, 1, 18.1, 0, False),
            ("a", 11.2, 1, 18.4, 0, False),
            ("a", 11.3, 2, 19.9, 1, False),
            ("a", 20.2, 1, 18.9, 0, True),
        )
    )
    np.testing.assert_allclose(values["change within a night"], [0.1])
    np.testing.assert_allclose(values["change from a night to the next"], [0.3])
    np.testing.assert_allclose(values["change in 5 to 15 days"], [0.5])
    np.testing.assert_allclose(values["g - r"], [0.4, 0.5])
    assert values["light curves of both signs"].tolist() == [False]


def test_a_summary_has_quartiles_or_a_share_and_needs_some_values():
    assert summarise("magpsf of alerts", np.arange(5.0)) == {
        "n": 5, "q25": 1.0, "median": 2.0, "q75": 3.0,
    }  # fmt: skip
    assert summarise("negative subtractions", np.array([1, 0, 0, 0, 0])) == {"n": 5, "mean": 0.2}
    few = summarise("magpsf of alerts", np.array([18.0, np.nan]))
    assert few == {"n": 1}
    table = to_markdown({"SN": {"magpsf of alerts": {"real": few}}})
    assert "| magpsf of alerts | - | - |" in table


def test_an_empty_class_has_no_values():
    values = light_curve_statistics(observations())
    assert all(not len(v) for v in values.values())


def test_mistakes_come_in_the_order_of_their_probability():
    probabilities = np.array([[0.2, 0.8], [0.1, 0.9], [0.7, 0.3], [0.4, 0.6]])
    labels = np.array([0, 0, 0, 1])
    assert most_confident_mistakes(probabilities, labels, 0, 5).tolist() == [1, 0]
    assert most_confident_mistakes(probabilities, labels, 0, 1).tolist() == [1]
    assert most_confident_mistakes(probabilities, labels, 1, 5).tolist() == []

"""The light curves of the test alerts of a table, from a series table."""

import numpy as np
import pytest

from tests.alert_tables import alert_rows, write_table
from ztfrep.data.alert_schema import SERIES_CLASSES
from ztfrep.evaluation.alert_light_curves import read_light_curves

SPLITS = ["train", "test", "test", "test"]
NAMES = ["ZTF1", "ZTF2", "ZTF3", "ZTF4"]


def alerts_and_series(folder, **columns):
    """Write a table of the alerts of four objects, and a series table of the first three."""
    alerts = alert_rows(4, object_id=NAMES, split=SPLITS, label=np.zeros(4, int))
    write_table(folder / "stamps.parquet", alerts)
    rows = {
        "object_id": ["ZTF1", "ZTF2", "ZTF2", "ZTF3"],
        "split": SPLITS,
        "detection": [0, 0, 1, 0],
        "label": np.zeros(4, int),
        "fid": [1, 1, 2, 1],
        "mjd": [59000.0, 58990.0, 59001.0, 59002.0],
        "magpsf": [18.0, np.nan, 19.0, 18.5],
        "sigmapsf": [0.1, np.nan, 0.2, 0.1],
        "diffmaglim": [20.0, 20.5, 20.0, 20.0],
    }
    series = alert_rows(4, seed=1, **rows | columns)
    write_table(folder / "series.parquet", series, classes=SERIES_CLASSES)
    return folder / "stamps.parquet", folder / "series.parquet"


def test_an_alert_has_all_observations_of_its_object(tmp_path):
    second, third, fourth = read_light_curves(*alerts_and_series(tmp_path), "test")
    assert second.observations["mjd"].tolist() == [58990.0, 59001.0]
    np.testing.assert_allclose(second.observations["magpsf"], [np.nan, 19.0])
    assert second.mjd == 59001.0
    assert third.observations["mjd"].tolist() == [59002.0]
    assert fourth is None


@pytest.mark.parametrize("column", ["mjd", "fid", "magpsf"])
def test_series_without_times_filters_or_magnitudes_have_no_light_curve(tmp_path, column):
    unknown = {column: [None] * 4 if column == "fid" else np.full(4, np.nan)}
    if column == "magpsf":
        unknown["diffmaglim"] = np.full(4, np.nan)
    paths = alerts_and_series(tmp_path, **unknown)
    assert read_light_curves(*paths, "test") == [None] * 3

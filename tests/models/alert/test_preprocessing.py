"""A table's alerts as a network takes them."""

import numpy as np
import pytest
from stages.inputs import alert_inputs, feature_scaling, gathered

from tests.data.test_alert_tables import INFO, rows, write
from ztfrep.data import features
from ztfrep.data.alert_schema import TableInfo

LEFT_OUT = ["rb", "distnr", "magnr"]


def place(name):
    return features.NAMES.index(name)


def inputs(table, left_out=()):
    scaling = feature_scaling(table, np.ones(table.rows, bool), left_out)
    return gathered(alert_inputs(table, "minmax", scaling, 4)), scaling


def test_what_upstream_clipped_to_minus_one_is_not_known_and_counts_in_no_statistic(tmp_path):
    part = rows(6)
    part["distpsnr1"] = np.array([2.0, -1.0, 4.0, np.nan, 6.0, -1.0])
    part["chinr"] = np.array([1.0, -1.0, 1.5, 1.2, 1.1, 0.9])
    part["sharpnr"] = np.array([-1.0, -1.0, 0.1, 0.2, 0.1, 0.0])
    alerts, scaling = inputs(write(tmp_path / "t.parquet", part))
    known = alerts.known.numpy()
    assert known[:, place("distpsnr1")].tolist() == [True, False, True, False, True, False]
    assert scaling.mean[place("distpsnr1")] == pytest.approx(4)
    # A sharpness of -1 is one, where the source that it is measured on is there.
    assert known[:, place("sharpnr")].tolist() == [True, False, True, True, True, True]
    assert (alerts.features.numpy()[~known] == 0).all()


def test_a_zscore_of_minus_one_is_a_number(tmp_path):
    part = rows(6)
    part["distpsnr1"] = np.array([1.0, -1.0, 0.5, 0.2, -1.0, 0.1])
    table = write(tmp_path / "t.parquet", part, info=TableInfo(27, 27, "minmax", "zscored-unknown"))
    alerts, _ = inputs(table)
    assert alerts.known.numpy()[:, place("distpsnr1")].all()


def test_features_that_are_left_out_are_never_seen(tmp_path):
    part = rows(5) | {name: np.arange(5.0) + 1 for name in LEFT_OUT}
    table = write(tmp_path / "t.parquet", part)
    everything, _ = inputs(table)
    some, _ = inputs(table, LEFT_OUT)
    for name in LEFT_OUT:
        assert everything.known.numpy()[:, place(name)].all()
        assert not some.known.numpy()[:, place(name)].any()
        assert not some.features.numpy()[:, place(name)].any()
    assert some.known.numpy()[:, place("ra")].all()


def test_features_in_another_unit_are_left_out_with_a_warning(tmp_path, caplog):
    _, scaling = inputs(write(tmp_path / "t.parquet", rows(5)))
    other = write(
        tmp_path / "o.parquet", rows(5), info=TableInfo(27, 27, "minmax", "zscored-unknown")
    )
    alerts = gathered(alert_inputs(other, "minmax", scaling, 4))
    assert not alerts.known.any()
    assert "stamps alone are used" in caplog.text
    assert INFO.feature_unit == "physical"

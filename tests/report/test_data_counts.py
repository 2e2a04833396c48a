"""Balances of the counts of every source."""

from ztfrep.report.data_counts import balance_counts, count_classes

PICKLES = {
    "stamps": {
        split: {
            "read": 10,
            "collapsed_duplicates": 2,
            "excluded_constant": 1,
            "written": 7,
            "masked_pixels": 99,
            "read_AGN": 4,
            "read_SN": 6,
        }
        for split in ("train", "validation", "test")
    },
    "series": {"train": {"read_objects": 3, "read_alerts": 9, "excluded_constant": 2,
                         "written_objects": 3, "written_alerts": 7}},
}  # fmt: skip
PACKETS = {
    "packets": {"read": 9, "written": 5, "duplicates": 1, "bad": 3, "bad_avro": 2, "bad_fits": 1},
    "prior_observations": {
        "read": 20, "excluded_jd": 1, "excluded_candid": 2, "repeated": 3,
        "prior_detections": 4, "upper_limits": 10,
    },
    "labels": {
        "rows": 12, "rows_malformed": 1, "rows_without_class": 1, "rows_without_id": 1,
        "rows_with_bad_id": 1, "rows_labelled": 5, "mapped_classes": 2, "excluded_classes": 2,
        "other_classes": 1, "rows_matched": 4, "rows_unmatched": 1,
        "excluded_classes_by_name": {"kilonova": 2},
    },
    "stamps": {"train": {"written": 5, "written_AGN": 4, "written_SN": 0}},
    "series": {"train": {"objects": 2, "observations": 9, "alerts": 5, "objects_AGN": 2}},
}  # fmt: skip


def test_what_pickles_hold_is_what_was_written_and_each_reason():
    alerts, series = balance_counts(PICKLES)
    assert (alerts.read, alerts.written) == ((10, 10, 10), {"written": (7, 7, 7)})
    assert list(alerts.excluded.values()) == [(2, 2, 2), (1, 1, 1)]
    assert (alerts.unexplained, alerts.total_excluded) == (0, 9)
    assert (series.read, series.unexplained) == ((9,), 0)


def test_what_packets_hold_is_what_was_written_and_each_reason():
    balances = {balance.title: balance for balance in balance_counts(PACKETS)}
    packets = balances["Alert packets"]
    assert packets.excluded == {
        "the same candid again": (1,), "broken Avro": (2,), "a stamp of broken FITS": (1,)
    }  # fmt: skip
    assert balances["Prior observations in the packets"].total_excluded == 6
    labels = balances["Rows of the table of labels"]
    assert labels.excluded["matched no alert"] == (1,)
    assert labels.written == {"labels that match an alert": (4,)}
    assert all(balance.unexplained == 0 for balance in balances.values())


def test_a_row_without_a_reason_is_counted():
    train = PICKLES["stamps"]["train"] | {"written": 6}
    (balance,) = balance_counts({"stamps": {"train": train, "test": train}})
    assert balance.unexplained == 2


def test_classes_are_counted_as_the_source_counts_them():
    assert count_classes(PICKLES, "stamps")["SN"] == {"train": 6, "validation": 6, "test": 6}
    assert count_classes(PICKLES, "series") == {}
    assert count_classes(PACKETS, "stamps") == {"AGN": {"train": 4}, "SN": {"train": 0}}
    assert count_classes(PACKETS, "series") == {"AGN": {"train": 2}}


def test_counts_of_an_unknown_source_are_no_balance():
    assert balance_counts({"stamps": {"read": 3}, "other": 1, "packets": None}) == []

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.alert_packets import CANDID
from ztfrep.data.alert_schema import TableInfo
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.errors import InputError

INFO = TableInfo(27, 27, "minmax", "physical")


def rows(n: int = 5, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    return {
        "object_id": [f"ZTF{seed}{i:04d}" for i in range(n)],
        "detection": np.arange(n),
        "split": ["train"] * n,
        "label": rng.integers(0, 5, n),
        "n_copies": np.ones(n),
        "stamps": rng.random((n, 3, 27, 27)).astype(np.float32),
        "ra": rng.random(n) * 360,
        "magpsf": rng.random(n) + 18,
    }


def write(path, *parts, info=INFO):
    with AlertWriter(path, info) as writer:
        for part in parts:
            writer.write(part)
    return AlertTable(path)


def test_written_rows_are_read(tmp_path):
    first, second = rows(5, 0), rows(7, 1)
    table = write(tmp_path / "t.parquet", first, second)
    assert table.rows == 12
    assert table.info == INFO
    stamps = np.concatenate(list(table.stamps(rows_per_batch=4)))
    np.testing.assert_array_equal(stamps, np.concatenate([first["stamps"], second["stamps"]]))
    identity = table.identity()
    assert identity["object_id"].tolist() == first["object_id"] + second["object_id"]
    assert identity["label"].tolist() == [*first["label"], *second["label"]]
    metadata = table.features()
    right_ascension = np.concatenate([first["ra"], second["ra"]])
    np.testing.assert_array_equal(metadata[:, ALERCE_FEATURES.index("ra")], right_ascension)


def test_missing_columns_are_null(tmp_path):
    part = rows(6)
    part["stamps"][1] = np.nan
    part["stamps"][2, 0, :3] = np.nan
    part["label"][3] = -1
    part["magpsf"][4] = np.nan
    table = write(tmp_path / "t.parquet", part)
    raw = pq.read_table(table.path)
    assert raw.column("stamps").is_null().to_pylist() == [False, True, *[False] * 4]
    assert raw.column("label").null_count == 1
    assert raw.column("magpsf").null_count == 1
    assert raw.column("mjd").null_count == 6
    # A null in the middle does not move other stamps, wherever a batch ends.
    present = [True, False, True, True, True, True]
    assert table.has_stamps().tolist() == present
    for size in (1, 2, 4, 100):
        stamps = np.concatenate(list(table.stamps(size)))
        np.testing.assert_array_equal(stamps, part["stamps"][present])
    assert table.identity()["label"][3] == -1
    assert np.isnan(table.features()[4, ALERCE_FEATURES.index("magpsf")])


@pytest.mark.parametrize(
    "candid",
    [
        np.array([float(CANDID)] * 5),
        [float(CANDID)] * 5,
        pa.array([float(CANDID), None] + [0.0] * 3),
    ],
)
def test_a_candid_of_floats_is_refused(tmp_path, candid):
    with pytest.raises(ValueError, match="candid is double"):
        write(tmp_path / "t.parquet", rows(5) | {"candid": candid})


def test_candids_beside_nulls_are_exact_in_a_frame(tmp_path):
    candids = [CANDID, None, CANDID + 1, None, CANDID + 2]
    frame = write(tmp_path / "t.parquet", rows(5) | {"candid": candids}).identity()
    assert frame["candid"].dtype == "Int64"
    assert (frame["candid"] - CANDID).fillna(-1).tolist() == [0, -1, 1, -1, 2]


def test_the_order_of_channels_is_checked(tmp_path):
    path = tmp_path / "t.parquet"
    table = pq.read_table(write(path, rows()).path)
    metadata = dict(table.schema.metadata) | {b"channels": b"template,science,difference"}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(InputError, match="found channels template,science,difference; expected"):
        AlertTable(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        # Another program's Parquet file.
        (lambda path: pq.write_table(pa.table({"x": [1]}), path), "found format None"),
        # Truncated by a full disk.
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "expected a Parquet file"),
        (lambda path: path.unlink(), "found no such file"),
    ],
)
def test_a_file_that_is_no_alert_table_is_refused(tmp_path, spoil, message):
    path = tmp_path / "t.parquet"
    write(path, rows())
    spoil(path)
    with pytest.raises(InputError, match=message) as error:
        AlertTable(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_failed_write_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), AlertWriter(tmp_path / "t.parquet", INFO) as writer:
        writer.write(rows())
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_writing_raises_and_leaves_no_file(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"), AlertWriter(tmp_path / "t", INFO) as writer:
        writer.write(rows())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stamps": np.zeros((5, 3, 21, 21), np.float32)}, r"\(5, 3, 21, 21\)"),
        ({"stamps": np.zeros((5, 3, 27, 27))}, "float64"),
        ({"redshift": np.zeros(5)}, "redshift"),
        ({"split": None}, "split"),
    ],
)
def test_rows_that_do_not_fit_the_schema_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message), AlertWriter(tmp_path / "t", INFO) as writer:
        writer.write(rows() | change)


def test_rows_without_stamps_have_null_stamps_and_no_pixels_in_the_file(tmp_path):
    present = np.array([False, True, False, False, True, True])
    part = rows(6)
    stamps = part["stamps"][present]
    sparse = write(tmp_path / "t.parquet", part | {"stamps": stamps, "has_stamps": present})
    assert sparse.has_stamps().tolist() == present.tolist()
    np.testing.assert_array_equal(np.concatenate(list(sparse.stamps(2))), stamps)
    column = pq.read_table(sparse.path).column("stamps")
    assert column.is_null().to_pylist() == (~present).tolist()
    # The pixels of a null row are not written: there are those of three rows, not six.
    full = write(tmp_path / "full.parquet", part)
    assert sparse.path.stat().st_size < 0.7 * full.path.stat().st_size
    with pytest.raises(ValueError, match="stamps"):
        write(tmp_path / "wrong.parquet", part | {"has_stamps": present})


@pytest.mark.parametrize(("unit", "clipped"), [("physical", 10), ("zscored-unknown", 50)])
def test_only_physical_features_are_clipped(tmp_path, unit, clipped):
    part = rows(3)
    part["fwhm"] = np.array([5.0, 50.0, np.nan])
    table = write(tmp_path / "t.parquet", part, info=TableInfo(27, 27, "minmax", unit))
    fwhm = ALERCE_FEATURES.index("fwhm")
    np.testing.assert_array_equal(table.features()[:, fwhm], [5, 50, np.nan])
    np.testing.assert_array_equal(table.clipped_features()[:, fwhm], [5, clipped, np.nan])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": ["test"] * 3 + ["train"] * 2}, "split train after test in row 3"),
        ({"object_id": ["A", "B", "A", "C", "D"]}, "rows of object 'A' apart"),
        ({"object_id": ["A"] * 5, "detection": [0, 1, 1, 2, 3]}, "detection 1 after 1 in row 2"),
        ({"candid": [CANDID] * 5}, "candid .* row 0 and row 1"),
        ({"label": np.full(5, 7)}, "label 7 in row 0"),
        ({"n_copies": np.zeros(5)}, "n_copies 0 in row 0"),
        ({"ra": np.full(5, 400.0)}, "ra 400.0 in row 0"),
        # float32 has no such number.
        ({"magpsf": np.full(5, 1e39)}, "magpsf inf in row 0"),
        ({"stamps": np.full((5, 3, 27, 27), np.inf, np.float32)}, "a pixel of inf in row 0"),
        ({"stamps": np.full((5, 3, 27, 27), -3.4e38, np.float32)}, "a pixel of -3.4e.38 in row 0"),
    ],
)
def test_invalid_rows_are_refused_and_no_file_remains(tmp_path, change, message):
    with pytest.raises(ValueError, match=message), AlertWriter(tmp_path / "t", INFO) as writer:
        writer.write(rows(5) | change)
    assert list(tmp_path.iterdir()) == []


def test_rows_are_checked_across_batches(tmp_path):
    last = rows(1) | {"object_id": ["A"], "split": ["validation"]}
    for change, message in (
        ({"split": ["train"]}, "split train after validation of the same object"),
        ({"object_id": ["B"], "split": ["train"]}, "split train after validation in row 1"),
        ({}, "detection 0 after 0 in row 1 .object 'A'"),
    ):
        with pytest.raises(ValueError, match=message), AlertWriter(tmp_path / "t", INFO) as writer:
            writer.write(last)
            writer.write(last | change)


@pytest.mark.parametrize(
    "change",
    [{"scaling": "log"}, {"feature_unit": "cgs"}, {"stamp_location": "elsewhere"}, {"height": 20},
     {"width": 2000}, {"classes": ("SN", "AGN")}, {"classes": ()}],
    ids=str,
)  # fmt: skip
def test_a_table_of_unknown_content_is_not_written(tmp_path, change):
    with pytest.raises(ValueError, match="found"):
        AlertWriter(tmp_path / "t", replace(INFO, **change))

"""Identifiers of 19 digits, exact from table to frame and back, and rows joined by them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.alert_packets import CANDID
from ztfrep.data.frames import look_up, read_frame, refuse_float_identifiers, to_frame, write_frame
from ztfrep.errors import InputError

NEAR_2_62 = st.integers(2**62 - 2000, 2**62 + 2000)
CANDIDS = st.lists(NEAR_2_62, min_size=1, max_size=30, unique=True)


@settings(deadline=None)  # It writes files, and waits until the disk has them.
@given(CANDIDS, st.data())
def test_identifiers_of_a_column_with_nulls_stay_exact(tmp_path_factory, candids, data):
    null = data.draw(st.lists(st.booleans(), min_size=len(candids), max_size=len(candids)))
    values = [None if gone else candid for candid, gone in zip(candids, null, strict=True)]
    path = tmp_path_factory.mktemp("frames") / "x.parquet"
    pq.write_table(pa.table({"candid": pa.array(values, pa.int64())}), path)
    frame = read_frame(path)
    assert [None if v is pd.NA else int(v) for v in frame["candid"]] == values
    # And again through a file that pandas writes.
    write_frame(path, frame)
    assert pq.read_schema(path).field("candid").type == pa.int64()
    assert (
        read_frame(path)["candid"].astype(object).where(frame["candid"].notna(), None).tolist()
        == values
    )


def test_integers_are_read_as_integers_if_the_pandas_metadata_has_float(tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"candid": [1.0, np.nan]}).to_parquet(path)
    noted = pq.read_schema(path).metadata
    table = pa.table({"candid": pa.array([CANDID, None], pa.int64())}).replace_schema_metadata(
        noted
    )
    pq.write_table(table, path)
    assert read_frame(path)["candid"][0] == CANDID


def test_attributes_of_a_frame_are_written_and_read(tmp_path):
    frame = pd.DataFrame({"object_id": ["A"], "label": [1]})
    frame.attrs["classes"] = ["AGN", "SN"]
    write_frame(tmp_path / "x.parquet", frame)
    read = read_frame(tmp_path / "x.parquet")
    assert read.attrs == {"classes": ["AGN", "SN"]}
    pd.testing.assert_frame_equal(read, frame)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"candid": [float(CANDID)]}),
        pd.DataFrame({"candid": pd.array([float(CANDID), None], "Float64")}),
        pd.DataFrame({"row": [1]}, index=pd.Index([float(CANDID)], name="candid")),
    ],
)
def test_float_identifiers_are_refused(tmp_path, frame):
    with pytest.raises(ValueError, match="candid is [Ff]loat64"):
        refuse_float_identifiers(frame)
    with pytest.raises(ValueError, match="candid is [Ff]loat64"):
        write_frame(tmp_path / "x.parquet", frame)
    assert list(tmp_path.iterdir()) == []


def test_a_float_column_of_a_file_is_refused():
    with pytest.raises(ValueError, match="candid is float64"):
        to_frame(pa.table({"candid": [1.5]}))


def frame(candids, **columns):
    return pd.DataFrame({"candid": candids, "split": "train"} | columns)


@given(CANDIDS, st.randoms(use_true_random=False))
def test_a_look_up_returns_the_row_of_each_key_in_their_order(candids, random):
    table = frame(candids, row=np.arange(len(candids)))
    shuffled = candids.copy()
    random.shuffle(shuffled)
    rows = look_up(frame(shuffled), "candid", table, same=["split"], source="a.parquet")
    assert rows["candid"].tolist() == shuffled
    assert rows["row"].tolist() == [candids.index(candid) for candid in shuffled]


@pytest.mark.parametrize(
    ("rows", "table", "message"),
    [
        # Next to each other, the same as float64.
        (frame([CANDID]), frame([CANDID + 1]), f"no row for 1 of them, the first {CANDID}"),
        (frame([CANDID]), frame([CANDID, CANDID]), f"candid {CANDID} more than once"),
        (frame([CANDID]), frame([CANDID], split="test"), f"split test of candid {CANDID}"),
        (frame(pd.array([CANDID, None], "Int64")), frame([CANDID]), "1 rows without a candid"),
        (frame([CANDID]), frame(pd.array([CANDID, None], "Int64")), "1 rows without a candid"),
    ],
)
def test_a_look_up_that_does_not_match_one_row_each_is_an_error(rows, table, message):
    with pytest.raises(InputError, match=message):
        look_up(rows, "candid", table, same=["split"], source="base.parquet")


def test_a_look_up_by_float_keys_is_an_error():
    with pytest.raises(ValueError, match="float64"):
        look_up(frame([float(CANDID)]), "candid", frame([CANDID]), same=[], source="x")

"""Labels in a Parquet file: the same as in a CSV of the same table, and files that are none."""

import io
import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.alert_packets import CANDID
from tests.data.test_parquet_files import HOSTILE
from ztfrep.data.class_map import ClassMap
from ztfrep.errors import InputError
from ztfrep.sources.packets import parquet_labels
from ztfrep.sources.packets.label_reader import read_labels

IDS = [CANDID + row if row % 4 else None for row in range(60)]
OBJECTS = [f"ZTF18aaaaa{'abcdefghi'[row % 9]}{row % 2}" for row in range(60)]
NAMES = ["SN Ia", "agn", "QSO", None, "RRL", "zebra", " VS ", "TDE", "SN", "4", "*", ""]
TABLE = pa.table(
    {
        "note": pa.array(np.linspace(0, 1, 60)),
        "candid": pa.array(IDS, pa.int64()),
        "objectId": pa.array(OBJECTS),
        "class": pa.array([NAMES[row % len(NAMES)] for row in range(60)]),
    }
)


def save(folder, table, **options):
    path = folder / "labels.parquet"
    pq.write_table(table, path, **options)
    return path


def save_csv(folder, table):
    text = io.BytesIO()
    pa.csv.write_csv(table, text)
    path = folder / "labels.csv"
    path.write_bytes(text.getvalue())
    return path


def content(labels):
    """Everything of labels but the file's name, with the number of the row in place of a line."""
    tables = []
    for table in (labels.alerts, labels.objects):
        shift = 0 if labels.unit == "row" else 1  # the header
        lines = [line - shift for line in table["line"].to_pylist()]
        tables.append(table.drop_columns("line").append_column("row", [lines]).to_pydict())
    kinds = (labels.mapped_classes, labels.excluded_classes, labels.other_classes)
    return tables, labels.counts, kinds


def retype(table, **types):
    for name, kind in types.items():
        column = table.schema.get_field_index(name)
        values = table.column(name)
        if pa.types.is_dictionary(kind):
            values = values.cast(kind.value_type).dictionary_encode()
        table = table.set_column(column, name, values.cast(kind))
    return table


TEXT = pa.dictionary(pa.int32(), pa.string())
FORMS = {
    "as_it_is": (TABLE, {}),
    "uint64": (retype(TABLE, candid=pa.uint64()), {}),
    "text": (retype(TABLE, candid=pa.string()), {}),
    "large_text": (retype(TABLE, objectId=pa.large_string(), **{"class": pa.large_string()}), {}),
    "bytes": (retype(TABLE, objectId=pa.binary(), **{"class": pa.large_binary()}), {}),
    "dictionaries": (retype(TABLE, objectId=TEXT, candid=TEXT, **{"class": TEXT}), {}),
    "without_dictionaries": (TABLE, {"use_dictionary": False}),
    "row_groups": (TABLE, {"row_group_size": 7}),
    "small_pages": (TABLE, {"data_page_size": 64, "dictionary_pagesize_limit": 32}),
    "zstd": (TABLE, {"compression": "zstd", "data_page_version": "2.0"}),
    "without_schema": (TABLE, {"store_schema": False}),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_parquet_table_has_the_labels_of_the_csv(tmp_path, form, monkeypatch):
    monkeypatch.setattr(parquet_labels, "_BATCH_ROWS", 11)
    table, options = FORMS[form]
    expected = content(read_labels(save_csv(tmp_path, TABLE), "class"))
    # Blank text of a CSV is a null.
    assert content(read_labels(save(tmp_path, table, **options), "class")) == expected
    _, counts, (mapped, excluded, other) = expected
    assert mapped == {"AGN": {"QSO": 5}, "SN": {"SN Ia": 5}, "VS": {"RRL": 5}}
    assert excluded == {"TDE": 5, "*": 5}
    assert other == {"zebra": 5, "4": 5}
    assert (counts["mapped_classes"], counts["excluded_classes"]) == (15, 10)
    assert (counts["other_classes"], counts["rows_without_class"]) == (10, 10)
    assert counts["rows_labelled"] == 30


ROW = st.tuples(
    st.one_of(st.none(), st.integers(-5, 2**63 - 1).map(str), st.sampled_from(["3.3e18", "x"])),
    st.one_of(st.none(), st.text(st.characters(categories=["L", "N"]), max_size=8)),
    st.sampled_from([*NAMES, "'SN'", "nan", "bogus?"]),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, max_size=12))
def test_any_rows_have_the_labels_of_the_csv(tmp_path, rows):
    rows = [(str(CANDID), "A", "SN"), *rows]
    columns = zip(*rows, strict=True)
    table = pa.table(
        {
            name: pa.array(column, pa.string())
            for name, column in zip(("candid", "oid", "class"), columns, strict=True)
        }
    )
    expected = content(read_labels(save_csv(tmp_path, table), "class"))
    assert content(read_labels(save(tmp_path, table), "class")) == expected


def test_a_table_of_pandas_is_read(tmp_path):
    frame = TABLE.drop_columns("candid").to_pandas()
    frame["class"] = frame["class"].astype("category")
    frame = frame.set_index("objectId")
    path = tmp_path / "labels.parquet"
    frame.to_parquet(path)
    expected = content(read_labels(save_csv(tmp_path, TABLE.drop_columns("candid")), "class"))
    assert content(read_labels(path, "class")) == expected
    codes = pd.DataFrame({"candid": pd.array(IDS, "Int64"), "class": 1})
    codes.to_parquet(path)
    labels = read_labels(path, "class", ClassMap({"1": "SN"}))
    assert labels.mapped_classes == {"SN": {"1": 60}}
    # Without a candid; there is no object either.
    assert (labels.counts["rows_labelled"], labels.counts["rows_without_id"]) == (45, 15)


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.decimal128(20, 0)])
def test_candids_that_were_rounded_are_refused(tmp_path, kind):
    column = pa.array([None if c is None else float(c) for c in IDS], pa.float64())
    table = TABLE.set_column(1, "candid", column.cast(kind, safe=False))
    with pytest.raises(InputError, match="rounded by a .*float64 column.*all their digits"):
        read_labels(save(tmp_path, table), "class")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.drop_columns("class"), "columns note, candid, objectId; expected a Parquet table"),
        (TABLE.select(["note", "class"]), "columns note, class.*candid or object_id, and class"),
        (TABLE.append_column("Class", TABLE["class"]).append_column("class", TABLE["class"]),
         "2 columns named 'class'"),
        (TABLE.set_column(3, "class", [[True] * 60]), "'class' of type bool; expected text"),
        (TABLE.set_column(2, "objectId", [[["A"]] * 60]), "'objectId' of type list"),
        (TABLE.set_column(3, "class", [[{"a": "SN"}] * 60]), "'class' of type struct"),
        (TABLE.set_column(3, "class", pa.array([1.0] * 60)), "'class' of type double"),
        (TABLE.slice(0, 0), "no rows.*give it as a CSV"),
        (TABLE.set_column(3, "class", pa.nulls(60)), "60 of 60 rows have none"),
        (TABLE.set_column(3, "class", pa.array(["zed"] * 60)),
         "60 others .'zed' 60.*or map it: sources.alerts.class_map"),
        (TABLE.set_column(1, "candid", pa.array(["1x"] * 60)), "row 1: candid '1x', not a whole"),
        (TABLE.set_column(1, "candid", pa.array([2**63] * 60, pa.uint64())), "more than 63 bits"),
        (TABLE.set_column(1, "candid", pa.array([-5] * 60)), "candid '-5', a negative number"),
    ],
)  # fmt: skip
def test_a_parquet_table_without_labels_is_refused(tmp_path, table, message):
    with pytest.raises(InputError, match=message) as caught:
        read_labels(save(tmp_path, table), "class")
    assert "\n" not in str(caught.value)
    assert "dvc repro" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [case[1] for case in HOSTILE],
    ids=[case[0].replace(" ", "_") for case in HOSTILE],
)
def test_a_file_with_false_claims_is_refused(tmp_path, change):
    # As many columns and bytes as the changes need.
    table = TABLE.slice(0, 12)
    for number in range(15):
        table = table.append_column(f"other{number}", [[f"{row} of {number}" for row in range(12)]])
    path = save(tmp_path, table, compression="none")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError) as caught:
        read_labels(path, "class")
    assert "\n" not in str(caught.value)
    assert "dvc repro" not in str(caught.value)


def test_text_is_cut_and_columns_have_a_limit(tmp_path, monkeypatch):
    huge = "y" * 3_000_000
    names = pa.array(["SN", huge, huge, "SN Ia" + " " * 2000 + "x"])
    table = pa.table({"candid": [CANDID + row for row in range(4)], "class": names})
    labels = read_labels(save(tmp_path, table), "class")
    assert labels.counts["other_classes"] == 2
    assert max(map(len, labels.other_classes)) <= 40
    # As in a CSV, of which a line may have fewer characters.
    assert labels.mapped_classes == {"SN": {"SN Ia": 1}}
    monkeypatch.setattr(parquet_labels, "MAX_COLUMN_BYTES", 1_000_000)
    with pytest.raises(InputError, match="bytes in column 'class' of row group 0; expected at"):
        read_labels(save(tmp_path, table), "class")
    # Other columns are not read.
    table = pa.table({"candid": [CANDID], "class": ["SN"], "other": [huge]})
    assert read_labels(save(tmp_path, table), "class").counts["rows_labelled"] == 1
    monkeypatch.setattr(parquet_labels, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="expected at most 100"):
        read_labels(save(tmp_path, table), "class")


def test_text_that_is_not_utf8_is_replaced(tmp_path):
    classes = pa.array([b"SN", b"caf\xe9"]).view(pa.string())
    table = pa.table({"candid": [CANDID, CANDID + 1], "class": classes})
    assert read_labels(save(tmp_path, table), "class").other_classes == {"caf\ufffd": 1}


def test_rows_are_named_by_their_number(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    table = pa.table({"candid": [str(CANDID), "1x"], "class": ["SN", "SN"]})
    labels = read_labels(save(tmp_path, table), "class")
    assert "row 2: candid '1x', not a whole number" in caplog.text
    assert labels.alerts["line"].to_pylist() == [1]

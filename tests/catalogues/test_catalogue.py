"""Catalogues on disk: other files, and changed ones, are refused in one line."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ztfrep.catalogues.catalogue import read_catalogue
from ztfrep.catalogues.packet_encoding import encode_packets
from ztfrep.errors import InputError


@pytest.fixture
def path(encoder, night, tmp_path):
    encode_packets(encoder, night(numbers=range(5)), tmp_path / "v.parquet")
    return tmp_path / "v.parquet"


def rewrite(path, change=lambda table: table, **metadata):
    table = change(pq.read_table(path))
    content = {**table.schema.metadata, **{k.encode(): v for k, v in metadata.items()}}
    pq.write_table(table.replace_schema_metadata(content), path)


def test_the_predicted_class_is_the_most_probable_one(path):
    table = read_catalogue(path).table
    columns = read_catalogue(path).info.probability_columns
    best = [columns[i].removeprefix("probability_") for i in table[columns].to_numpy().argmax(1)]
    assert table["predicted_class"].tolist() == best


def test_candids_are_exact_where_some_are_null(path):
    def change(table):
        candid = table["candid"].to_pylist()
        column = pa.array([None, *candid[1:]], pa.int64())
        return table.set_column(table.schema.get_field_index("candid"), "candid", column)

    expected = read_catalogue(path).table["candid"].tolist()[1:]
    rewrite(path, change)
    candids = read_catalogue(path).table["candid"]
    assert candids.isna().tolist() == [True, False, False, False, False]
    assert candids.tolist()[1:] == expected


def not_finite(table):
    values = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).copy()
    values[3] = np.nan
    column = pa.FixedSizeListArray.from_arrays(pa.array(values), 6)
    return table.set_column(table.schema.get_field_index("vector"), "vector", column)


def test_vectors_that_are_not_finite_are_refused(path):
    rewrite(path, not_finite)
    with pytest.raises(InputError, match="without a vector of finite numbers"):
        read_catalogue(path).vectors()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": b"ztfrep-catalogue-0"}, "found 'ztfrep-catalogue-0'; expected a catalogue"),
        ({"rows": b"others"}, "columns that do not fit"),
        ({"classes": b"[1, 2]"}, "broken|do not fit"),
        ({"classes": b"{"}, "metadata is broken"),
        ({"classes": json.dumps(["AGN"]).encode()}, "columns that do not fit"),
        ({"vector_length": b"7"}, "columns that do not fit"),
        ({"vector_length": b"-1"}, "broken|do not fit"),
        ({"vector_length": b"99999999999"}, "broken|do not fit"),
        ({"classes": b"[" * 100_000}, "metadata is broken"),
    ],
)
def test_metadata_that_do_not_fit_the_columns_are_refused(path, metadata, message):
    rewrite(path, **metadata)
    with pytest.raises(InputError, match=message) as error:
        read_catalogue(path)
    assert "\n" not in str(error.value)


def test_other_files_are_refused(path, tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("text")
    (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:-200])
    (tmp_path / "folder").mkdir()
    for name, message in {
        "other.parquet": "another Parquet file; expected a catalogue",
        "text.parquet": "expected a Parquet file",
        "cut.parquet": "without its end",
        "absent.parquet": "no such file",
        "folder": "a folder without catalogues",
    }.items():
        with pytest.raises(InputError, match=f"{message}.*make it with ztfrep encode"):
            read_catalogue(tmp_path / name)


def test_a_folder_of_catalogues_of_two_models_is_refused(path, tmp_path):
    other = tmp_path / "w.parquet"
    other.write_bytes(path.read_bytes())
    assert len(read_catalogue(tmp_path)) == 10
    rewrite(other, model=b"another")
    with pytest.raises(InputError, match="w.parquet: found a catalogue of another model"):
        read_catalogue(tmp_path)

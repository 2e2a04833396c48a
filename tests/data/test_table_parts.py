"""Parts of a table have the batches of the whole table."""

from dataclasses import replace

import numpy as np
import pytest

from tests.alert_tables import alert_rows, write_table
from ztfrep.data.table_parts import split_table
from ztfrep.errors import InputError


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Write a table of row groups of different sizes, of which some rows have no stamps."""
    parts = [alert_rows(n, seed=seed) for seed, n in enumerate((7, 1, 12, 5, 5))]
    parts[2]["stamps"][[0, 4, 5, 6, 7, 8]] = np.nan
    parts[1]["magpsf"][0] = np.nan
    return write_table(tmp_path_factory.mktemp("table") / "table.parquet", *parts)


@pytest.mark.parametrize("rows", [1, 3, 4, 7, 100])
@pytest.mark.parametrize("batches", [1, 2, 5])
def test_the_batches_of_the_parts_are_those_of_the_table(table, rows, batches):
    whole = list(table.batches(rows))
    parts = split_table(table, rows, batches)
    assert len(parts) == -(-table.rows // (rows * batches))
    read = [batch for part in parts for batch in part.batches(rows)]
    assert len(read) == len(whole)
    for ours, expected in zip(read, whole, strict=True):
        np.testing.assert_array_equal(ours.stamps, expected.stamps)
        np.testing.assert_array_equal(ours.metadata, expected.metadata)
        assert ours.metadata.dtype == expected.metadata.dtype


def test_a_batch_has_no_more_rows_than_memory_admits(table, monkeypatch):
    monkeypatch.setattr("ztfrep.data.alert_table._BATCH_BYTES", 4 * table.info.pixels_per_row * 2)
    (part, *_) = split_table(table, 100, 1)
    assert part.rows == 2
    assert [len(b.stamps) for b in part.batches(2)] == [2]


def test_a_table_that_a_machine_does_not_see_is_an_error(table, tmp_path):
    (part,) = split_table(table, 100, 1)
    with pytest.raises(InputError, match=r"found no such file on .*mount its folder"):
        list(replace(part, path=tmp_path / "none.parquet").batches(100))
    other = write_table(tmp_path / "other.parquet", alert_rows(30, seed=9))
    with pytest.raises(InputError, match="found another file on"):
        list(replace(part, path=other.path).batches(100))

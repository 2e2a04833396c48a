"""Catalogues of alert tables have the true class and the split of their rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.alert_tables import alert_rows, write_table
from tests.catalogues.small_catalogues import CANDID, write_small_catalogue
from tests.test_cli import run
from ztfrep.catalogues.catalogue import objects_path, read_catalogue
from ztfrep.catalogues.packet_encoding import encode_packets
from ztfrep.catalogues.table_encoding import encode_table
from ztfrep.errors import InputError

CLASSES = ("AGN", "SN", "VS", "asteroid", "bogus")


@pytest.fixture
def encoded(encoder, tmp_path):
    """Return the path of the catalogue of a table: three objects of three alerts, and a fourth.

    The alerts of the second have different labels, one of the third has none, the fourth has none.
    """
    ids = [*np.repeat(["ZTF20aaaaaaa", "ZTF20aaaaaab", "ZTF20aaaaaac"], 3), "ZTF20aaaaaad"]
    rows = alert_rows(
        10,
        object_id=ids,
        detection=np.array([0, 1, 2] * 3 + [0]),
        label=np.array([1, 1, 1, 4, 0, 4, -1, -1, 2, -1]),
        split=["train"] * 6 + ["test"] * 4,
    )
    encode_table(encoder, write_table(tmp_path / "t.parquet", rows), tmp_path / "v.parquet")
    return tmp_path / "v.parquet"


def test_alerts_have_the_labels_of_the_table(encoded):
    table = read_catalogue(encoded).table
    names = [None if value != value else value for value in table["class"]]
    assert names == ["SN"] * 3 + ["bogus", "AGN", "bogus", None, None, "VS", None]
    assert table["split"].tolist() == ["train"] * 6 + ["test"] * 4
    assert table["candid"].dtype == "int64"


def test_objects_have_the_most_frequent_label_of_their_alerts(encoded):
    table = read_catalogue(objects_path(encoded)).table
    names = [None if value != value else value for value in table["class"]]
    # An alert without a label does not count, however many there are.
    assert names == ["SN", "bogus", "VS", None]
    assert table["split"].tolist() == ["train", "train", "test", "test"]


def test_packets_have_no_labels(encoder, night, tmp_path):
    encode_packets(encoder, night(), tmp_path / "v.parquet")
    for path in (tmp_path / "v.parquet", objects_path(tmp_path / "v.parquet")):
        assert not read_catalogue(path).info.labelled
        assert not {"class", "split"} & set(read_catalogue(path).table)


def test_other_programs_read_the_labels(encoded):
    table = pq.read_table(encoded, columns=["class", "split"])
    assert table.schema.types == [pa.string(), pa.string()]


def test_a_folder_may_have_files_with_and_without_labels(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(4, 3))
    labels = {"class": pa.array(["SN", None, "SN", "AGN"]), "split": pa.array(["train"] * 4)}
    write_small_catalogue(tmp_path / "a.parquet", vectors, preview_size=4)
    write_small_catalogue(tmp_path / "b.parquet", vectors, preview_size=4, **labels)
    catalogue = read_catalogue(tmp_path)
    assert catalogue.table["class"].isna().tolist() == [True] * 4 + [False, True, False, False]
    assert catalogue.table["candid"].tolist() == [CANDID + i for i in range(4)] * 2
    assert catalogue.vectors().shape == (8, 3) and catalogue.previews([1, 6]).shape == (2, 3, 4, 4)


def test_one_of_the_two_columns_alone_is_refused(encoded):
    pq.write_table(pq.read_table(encoded).drop_columns(["class"]), encoded)
    with pytest.raises(InputError, match="columns that do not fit"):
        read_catalogue(encoded)


def test_commands_read_a_catalogue_with_labels(encoded, models, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "rank", encoded, "--model", models, "--top", 3) == 0
    assert run(monkeypatch, "similar", "ZTF20aaaaaab", "--in", encoded) == 0
    assert run(monkeypatch, "similar", "ZTF20aaaaaab", "--in", objects_path(encoded)) == 0
    out = ("--out", tmp_path / "c.csv")
    assert run(monkeypatch, "classify", encoded, "--model", models, *out) == 0
    assert "split" not in (tmp_path / "c.csv").read_text().splitlines()[0]
    assert len(capsys.readouterr().out.splitlines()) > 10

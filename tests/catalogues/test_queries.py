"""Queries: what an id or a path stands for."""

import numpy as np
import pandas as pd
import pytest

from tests.alert_packets import CANDID as PACKET_CANDID
from tests.catalogues.small_catalogues import CANDID, write_small_catalogue
from ztfrep.catalogues.catalogue import read_catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.encoding import encode_paths
from ztfrep.catalogues.queries import find_queries
from ztfrep.catalogues.similarity import similar
from ztfrep.errors import InputError


def find(catalogue, text, model="none", **options):
    """Return the rows of the queries, and the rows excluded for each."""
    with find_queries(catalogue, str(text), model=model, **options) as queries:
        return queries.rows.tolist(), [rows.tolist() for rows in queries.excluded]


def make(path, n=6, **columns):
    return write_small_catalogue(path / "v.parquet", np.eye(n), **columns)


def test_a_candid_is_compared_with_all_of_its_digits(tmp_path):
    catalogue = make(tmp_path)
    # All are the same number in float64.
    assert len({float(CANDID + row) for row in range(6)}) == 1
    assert find(catalogue, CANDID + 4) == ([4], [[4]])


def test_candids_with_nulls_are_exact(tmp_path):
    candid = pd.array([CANDID, None, CANDID + 1, None, None, CANDID + 2], dtype="Int64")
    catalogue = make(tmp_path, candid=candid)
    assert find(catalogue, CANDID + 2) == ([5], [[5]])
    assert find(catalogue, "ZTF20aaaaaaa") == ([1], [[1]])


def test_the_id_of_an_object_is_its_last_alert(tmp_path):
    catalogue = make(tmp_path, mjd=np.array([9.0, 8, 7, 6, 5, 4]))
    assert find(catalogue, "ZTF20aaaaaab") == ([2], [[2]])
    assert find(catalogue, "ZTF20aaaaaab", other_objects=True) == ([2], [[2, 3]])
    assert find(catalogue, CANDID, other_objects=True) == ([0], [[0, 1]])


def test_an_alert_that_is_in_the_catalogue_twice_is_excluded_twice(tmp_path):
    assert find(make(tmp_path, candid=np.full(6, CANDID)), CANDID) == ([5], [list(range(6))])


def test_an_object_is_the_query_of_a_catalogue_of_objects(tmp_path):
    catalogue = make(tmp_path, rows=OBJECTS)
    assert find(catalogue, "ZTF20aaaaaac") == ([2], [[2]])
    with pytest.raises(InputError, match="no row of .*; expected an object id"):
        find(catalogue, CANDID)


def test_an_object_id_of_digits_is_found(tmp_path):
    assert find(make(tmp_path, object_id=list("123456")), "3") == ([2], [[2]])


@pytest.mark.parametrize(
    "text",
    [CANDID + 6, 0, "9" * 19, "9" * 400, -1, "ZTF99aaaaaaa", "none.avro", "\x1b[2J", "", "²", "\0"],
)
def test_an_id_that_is_not_there_is_one_printable_line(tmp_path, text):
    with pytest.raises(InputError, match="no row of") as error:
        find(make(tmp_path), text)
    assert str(error.value).isprintable() and len(str(error.value)) < 500


@pytest.mark.parametrize(
    "text", ["1.234567890123456789e18", "1234567890123456789.0", "1E18", "12."]
)
def test_a_candid_as_a_floating_point_number_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="floating-point number .*; expected all digits"):
        find(make(tmp_path), text)


@pytest.fixture
def encoded(encoder, night, tmp_path):
    encode_paths(encoder, night(), tmp_path / "v.parquet")
    return tmp_path / "v.parquet"


def test_packets_are_encoded_and_do_not_find_themselves(models, encoded, night):
    catalogue = read_catalogue(encoded)
    path = night("new.tar.gz", numbers=range(10, 14))
    with find_queries(catalogue, str(path), model=models) as queries:
        assert queries.catalogue.table["candid"].tolist() == [
            PACKET_CANDID + number for number in range(10, 14)
        ]
        # Alerts 10 and 11 are in the catalogue, 12 and 13 are new.
        assert [catalogue.table["candid"].iloc[rows].tolist() for rows in queries.excluded] == [
            [PACKET_CANDID + 10], [PACKET_CANDID + 11], [], [],
        ]  # fmt: skip
        expected = catalogue.vectors()[catalogue.table["candid"] == PACKET_CANDID + 10]
        np.testing.assert_allclose(queries.vectors[:1], expected, atol=1e-5)
        assert queries.catalogue.previews([0]).shape == (1, 3, 63, 63)
        result = similar(catalogue, queries.vectors, 3, excluded=queries.excluded)
    first = result[result["query"] == 0]
    assert PACKET_CANDID + 10 not in first["candid"].tolist() and len(first) == 3


def test_packets_are_objects_in_a_catalogue_of_objects(models, encoded, night):
    catalogue = read_catalogue(encoded.with_name("v.objects.parquet"))
    path = night("new.tar.gz", numbers=[3])
    with find_queries(catalogue, str(path), model=models) as queries:
        assert queries.catalogue.info.rows == OBJECTS
        (own,) = queries.excluded
        assert catalogue.table["object_id"].iloc[own].tolist() == (
            queries.catalogue.table["object_id"].tolist()
        )


def test_packets_with_another_model_are_refused(models, encoded, night):
    catalogue = read_catalogue(encoded)
    with pytest.raises(InputError, match="another model than that of the catalogue"):
        find(catalogue, night("new.tar.gz"), models / "autoencoder")


def test_a_file_that_is_no_packet_is_refused(models, encoded, tmp_path):
    (tmp_path / "text.avro").write_text("no packet")
    with pytest.raises(InputError) as error:
        find(read_catalogue(encoded), tmp_path / "text.avro", models)
    assert "\n" not in str(error.value)

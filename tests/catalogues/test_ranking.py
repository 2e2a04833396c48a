"""Rankings: the highest values first, explained by the terms of the anomaly score."""

import numpy as np
import pytest

from tests.catalogues.small_catalogues import CANDID, TERMS, write_small_catalogue
from tests.model_folders import make_reference
from ztfrep.catalogues.catalogue import read_catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.encoding import encode_paths
from ztfrep.catalogues.ranking import PERCENTILE, matching_reference, rank
from ztfrep.errors import InputError


def make(path, n=6, **columns):
    return write_small_catalogue(path / "v.parquet", np.ones((n, 3)), **columns)


def test_the_highest_anomaly_scores_are_first_with_each_term_and_its_percentile(tmp_path):
    catalogue = make(tmp_path, anomaly_score=np.array([1, 5, 2, 5, np.nan, 0]))
    # Quantiles from 0 to 4: a term of 1.5 is above 37.5 % of them.
    ranking = rank(catalogue, top=4, reference=make_reference(3, 3))
    assert ranking.index.tolist() == [1, 3, 2, 0] and ranking["rank"].tolist() == [1, 2, 3, 4]
    assert ranking["candid"].tolist() == [CANDID + row for row in (1, 3, 2, 0)]
    for term in TERMS:
        assert ranking[term].tolist() == [0.5, 1.5, 1.0, 0.0]
        assert ranking[f"{term}{PERCENTILE}"].tolist() == pytest.approx([12.5, 37.5, 25, 0])


def test_without_a_reference_there_are_no_percentiles(tmp_path):
    assert not [name for name in rank(make(tmp_path)) if name.endswith(PERCENTILE)]


def test_rows_without_a_score_are_left_out(tmp_path):
    ranking = rank(make(tmp_path, anomaly_score=np.array([1, np.nan, 2, 0, np.nan, np.nan])))
    assert ranking.index.tolist() == [2, 0, 3]


def test_a_term_that_is_null_has_no_percentile(tmp_path):
    error = np.array([np.nan, 1, 1, 1, 1, 1])
    ranking = rank(make(tmp_path, reconstruction_error=error), reference=make_reference(3, 3))
    assert np.isnan(ranking.loc[0, f"reconstruction_error{PERCENTILE}"])


def test_any_column_of_numbers_ranks_in_both_directions_and_within_a_class(tmp_path):
    catalogue = make(tmp_path)
    assert rank(catalogue, "magpsf", ascending=True, top=2).index.tolist() == [5, 4]
    assert rank(catalogue, "probability_SN", top=3).index.tolist() == [1, 3, 5]
    chosen = rank(catalogue, "mjd", predicted_class="bogus")
    assert chosen.index.tolist() == [4, 2, 0] and set(chosen["predicted_class"]) == {"bogus"}
    assert "neighbour_distance" not in chosen and chosen["mjd"].tolist() == [59004, 59002, 59000]


def test_objects_are_ranked_without_a_reconstruction_error(tmp_path):
    ranking = rank(make(tmp_path, rows=OBJECTS), reference=make_reference(3, 3))
    assert "reconstruction_error" not in ranking and ranking.index.tolist() == [5, 4, 3, 2, 1, 0]
    assert f"neighbour_distance{PERCENTILE}" in ranking and "candid" not in ranking


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "object_id"}, "no column 'object_id' of numbers; expected one of anomaly, candid"),
        ({"by": "vector"}, "no column 'vector'"),
        ({"by": "\x1b[31m"}, r"no column '\\x1b\[31m'"),
        ({"predicted_class": "QSO"}, "no class 'QSO'; expected one of AGN, SN, bogus"),
    ],
)
def test_an_unknown_column_or_class_is_refused_in_one_line(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message) as error:
        rank(make(tmp_path), **arguments)
    assert "\n" not in str(error.value)


def test_a_top_of_no_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected 1 or more"):
        rank(make(tmp_path), top=0)


def test_the_reference_is_that_of_the_model_and_of_the_kind_of_rows(
    models, encoder, night, tmp_path
):
    out = tmp_path / "v.parquet"
    encode_paths(encoder, night(numbers=range(2)), out)
    alerts, objects = read_catalogue(out), read_catalogue(tmp_path / "v.objects.parquet")
    assert matching_reference(alerts, models).vectors.shape[1] == alerts.info.vector_length
    assert matching_reference(objects, models).vectors.shape[1] == objects.info.vector_length
    assert matching_reference(alerts, models / "autoencoder") is None
    assert matching_reference(alerts, tmp_path / "none") is None

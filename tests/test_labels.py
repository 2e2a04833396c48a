"""Labels from a user's table."""

import pytest

from ztfrep.errors import InputError
from ztfrep.sources.labels import no_labels, read_labels


def read(tmp_path, text, column="class"):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return read_labels(path, column)


def test_classes_are_found_by_name_whatever_their_case(tmp_path):
    labels = read(
        tmp_path, "object_id,class\nA,AGN\nB, sn \nC,Bogus\nD,\nE,other\nF,star\nG,star\n"
    )
    assert labels.key == "object_id"
    assert labels.table.to_dict("list") == {"key": ["A", "B", "C"], "label": [0, 1, 4]}
    assert labels.other == {"other": 1, "star": 2}


def test_a_candid_names_an_alert_more_closely_than_its_object(tmp_path):
    labels = read(tmp_path, "object_id,candid,kind\nA,3367504081715010000,VS\nA,7,SN\n", "kind")
    assert labels.key == "candid"
    assert labels.table["key"].tolist() == [3367504081715010000, 7]
    assert labels.table["label"].tolist() == [2, 1]


def test_one_key_of_two_classes_has_no_label_and_of_one_class_has_it_once(tmp_path):
    labels = read(tmp_path, "candid,class\n1,SN\n1,AGN\n2,SN\n2,SN\n3,VS\n3,\n")
    assert labels.table.to_dict("list") == {"key": [2, 3], "label": [1, 2]}
    assert labels.contradictory == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,class\nA,SN\n", "columns name, class; expected candid or object_id, and class"),
        ("candid,kind\n1,SN\n", "label_column"),
        ("", "CSV"),
        ('"a,b\n1,2\n"x', "CSV|columns"),
        ("candid,class\n3.36e18,SN\n", "candid '3.36e18'.*spreadsheets"),  # rounded by one
        ("candid,class\n9999999999999999999,SN\n", "candid '99999"),  # beyond 64 bits
        ("candid,class\n-5,SN\n", "candid '-5'"),
    ],
)
def test_what_is_no_table_of_labels_is_refused(tmp_path, text, told):
    with pytest.raises(InputError, match=told) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_no_labels_are_an_empty_table():
    assert len(no_labels().table) == 0

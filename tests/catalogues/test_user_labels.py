"""A user's labels joined to a catalogue: exact identifiers, and every row counted."""

import re

import numpy as np
import pyarrow as pa
import pytest

from tests.catalogues.classified_catalogues import CANDID, save_model_folder, write
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.user_labels import read_user_labels
from ztfrep.errors import InputError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_model_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def alerts(encoder, tmp_path_factory):
    """30 alerts, two of each object; the candid of the last is null."""
    candids = pa.array([*(CANDID + np.arange(29)).tolist(), None], pa.int64())
    path = tmp_path_factory.mktemp("alerts") / "alerts.parquet"
    return write(path, encoder, n=30, alerts_per_object=2, candid=candids)[0]


@pytest.fixture(scope="module")
def objects(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("objects") / "objects.parquet"
    return write(path, encoder, rows=OBJECTS, n=20)[0]


def read(catalogue, tmp_path, text, **options):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    labels = read_user_labels(path, catalogue, **options)
    names = np.array([*labels.classes, ""])[labels.labels]
    counts = labels.counts
    kinds = set(counts) - {"rows", "contradictory"}
    assert counts["rows"] == sum(counts[kind] for kind in kinds)
    return names.tolist(), counts


def refused(catalogue, tmp_path, text, **options):
    with pytest.raises(InputError) as error:
        read(catalogue, tmp_path, text, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_neighbouring_candids_of_19_digits_have_their_own_labels(alerts, tmp_path):
    rows = "".join(f"{CANDID + row},class {row}\n" for row in range(29))
    names, counts = read(alerts, tmp_path, f"candid,class\n{rows}")
    assert names == [*(f"class {row}" for row in range(29)), ""]
    assert counts["matched"] == counts["rows"] == 29


def test_the_label_of_an_alert_has_priority_over_that_of_its_object(alerts, tmp_path):
    ids = alerts.table["object_id"]
    text = f"oid;candid;kind\n{ids[0]};;RR Lyrae\n{ids[0]};{CANDID + 1};Mira\n{ids[28]};;blazar\n"
    names, _ = read(alerts, tmp_path, text, column="kind")
    assert names[:2] == ["RR Lyrae", "Mira"]
    # The last alert has no candid.
    assert names[28:] == ["blazar", "blazar"]
    assert set(names[2:28]) == {""}


def test_objects_are_labelled_by_their_own_id(objects, tmp_path):
    ids = objects.table["object_id"]
    text = f"candid,objectId,class\n{CANDID},{ids[3]},a\n,{ids[4].lower()},b\n"
    names, counts = read(objects, tmp_path, text)
    assert [name for name in names if name] == names[3:5] == ["a", "b"]
    assert counts["matched"] == 2


def test_rows_that_contradict_each_other_are_no_label(alerts, tmp_path):
    text = f"candid,class\n{CANDID},a\n{CANDID},b\n{CANDID},a\n{CANDID + 1},a\n{CANDID + 1},a\n"
    names, counts = read(alerts, tmp_path, text)
    assert names[:2] == ["", "a"]
    assert counts["contradictory"] == 1


def test_every_row_without_a_use_is_counted(alerts, tmp_path):
    text = (
        f"candid,object_id,class\n{CANDID},,a\n{CANDID + 500},,a\n{CANDID},,\n,,a\n"
        f"1.23e18,,a\n{CANDID}\n{CANDID + 2},,other\n"
    )
    names, counts = read(
        alerts, tmp_path, text, map_class=lambda name: None if name == "other" else name.upper()
    )
    assert names[:3] == ["A", "", ""]
    assert counts == {
        "rows": 7, "malformed": 1, "without_class": 1, "not_mapped": 1, "without_id": 1,
        "with_bad_id": 1, "unmatched": 1, "matched": 1, "contradictory": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty file"),
        ("candid,class\n", "no rows"),
        ("candid,kind\n1,a\n", "columns candid, kind; expected .* name the column"),
        ("name,class\n1,a\n", "expected a CSV table with a header line of candid or object_id"),
        ("candid,Class,CLASS\n1,a,a\n", "2 columns named 'Class'"),
        ("candid,class\n1,a\n2,b\n", r"2 unmatched \(line 2: candid '1'\).*match the catalogue"),
        ("object_id,class\nZTF99zzzzzzz,a\n", "1 unmatched"),
        # A prediction set joins names by it.
        ("candid,class\n1,a|b\n", r"the class 'a\|b' in line 2; expected .* without '\|'"),
        ("candid,class\n1," + 101 * "x" + "\n", "at most 100 printable characters"),
        ("candid,class\n1,\x1b[31m\n", "'.x1b.31m'"),
        ("candid,class\n" + "".join(f"1,{n}\n" for n in range(201)), "more than 200 classes"),
        ('candid,class\n1,"a\n', "never closed"),
    ],
)
def test_a_table_that_labels_nothing_is_refused(alerts, tmp_path, text, message):
    assert re.search(message, refused(alerts, tmp_path, text))


def test_rounded_candids_are_refused_with_their_reason(alerts, tmp_path):
    rows = "".join(f"{int(float(CANDID + 37 * n))},a\n" for n in range(40))
    message = refused(alerts, tmp_path, f"candid,class\n{rows}")
    assert "rounded by a spreadsheet or a float64 column" in message


def test_candids_alone_do_not_label_objects(objects, tmp_path):
    message = refused(objects, tmp_path, f"candid,class\n{CANDID},a\n")
    assert "add a column object_id, or give the catalogue of alerts" in message

"""Labels from a user's table: every row is a label or counted."""

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.alert_packets import CANDID
from ztfrep.errors import InputError
from ztfrep.sources.packets import delimited
from ztfrep.sources.packets.identifiers import are_rounded, parse_candid
from ztfrep.sources.packets.label_reader import read_labels
from ztfrep.sources.packets.labels import ROW_KINDS, no_labels

ONE, TWO, THREE = CANDID + 1, CANDID + 2, CANDID + 3


def read(folder, text, column="class"):
    path = folder / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path, column)


def by_candid(labels):
    return dict(zip(*labels.alerts.select(["candid", "label"]).to_pydict().values(), strict=True))


def by_object(labels):
    return dict(
        zip(*labels.objects.select(["object_id", "label"]).to_pydict().values(), strict=True)
    )


def test_class_names_are_accepted_in_any_case(tmp_path):
    labels = read(
        tmp_path,
        'object_id,class\nA,AGN\nB, sn \nC,Bogus\nD,\nE,zebra\nF,new\nG,new\nH,"VS"\nI,ASTEROID\n',
    )
    assert by_object(labels) == {"A": 0, "B": 1, "C": 4, "H": 2, "I": 3}
    assert labels.other_classes == {"new": 2, "zebra": 1}
    assert labels.counts["other_classes"] == 3
    assert labels.counts["rows_without_class"] == 1


@pytest.mark.parametrize("none", ["", " ", "NaN", "None", "null", "N/A", "<NA>", '""', "-"])
def test_a_null_class_is_not_counted_as_another_class(tmp_path, none):
    labels = read(tmp_path, f"candid,class\n{ONE},SN\n{TWO},{none}\n")
    assert by_candid(labels) == {ONE: 1}
    assert (labels.counts["rows_without_class"], labels.other_classes) == (1, {})


TABLE = f"candid,class\n{ONE},SN\n{TWO},VS\n"


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        TABLE.replace(",", "\t"),
        TABLE.replace(",", ";"),
        TABLE.replace(",", "|"),
        TABLE.replace(",", "   "),
        TABLE.replace(",", " , "),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.replace("\n", "\n\n"),
        TABLE.rstrip(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),  # as "Unicode text" of a spreadsheet
        TABLE.replace(",", "\t").encode("utf-16"),
        TABLE.encode() + b"# caf\xe9\n",  # another encoding where it does not matter
        "# " + TABLE,
        "#" + TABLE.replace(",", " "),
        f"# made by me, in a hurry\n#\n\n{TABLE}# the end\n",
        f"sep=;\n{TABLE.replace(',', ';')}",
        TABLE.replace("candid", "Candid").replace("class", " CLASS "),
        f'"candid","class"\n"{ONE}","SN"\n"{TWO}" ,"VS"\n',
        f"class,candid\nSN,{ONE}\nVS,{TWO}\n",
        # Separators at the end of rows, of the header, of both.
        f"candid,class\n{ONE},SN,\n{TWO},VS,,\n",
        f"candid,class,\n{ONE},SN\n{TWO},VS\n",
        f"candid,class,\n{ONE},SN,\n{TWO},VS,\n",
        # A column of row numbers without a name, and others that do not matter.
        f",candid,class\n0,{ONE},SN\n1,{TWO},VS\n",
        f'candid,note,class\n{ONE},"a, b\nand ""c""",SN\n{TWO},,VS\n',
        f"candid,class,note\n{ONE},SN\n{TWO},VS,x\n",
        # Text in spite of a spreadsheet.
        f'candid,class\n\'{ONE},SN\n"=""{TWO}""",VS\n',
        f'candid,class\n"{ONE:,}",SN\n{f"{TWO:,}".replace(",", ".")},VS\n',
        f"candid,class\n{ONE:_},SN\n{f'{TWO:,}'.replace(',', ' ')},VS\n",
        f"candid,class\n\u00a0{ONE}\u200b,SN\n{TWO},VS\n",
    ],
)
def test_common_forms_of_tables_are_read(tmp_path, text):
    labels = read(tmp_path, text)
    assert by_candid(labels) == {ONE: 1, TWO: 2}
    assert labels.counts["rows"] == labels.counts["rows_labelled"] == 2


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(2**53, 2**63 - 1), min_size=1, max_size=20, unique=True))
def test_candids_are_exact(tmp_path, candids):
    labels = read(tmp_path, "candid,class\n" + "".join(f"{c},SN\n" for c in candids))
    assert labels.alerts["candid"].to_pylist() == candids
    assert str(labels.alerts["candid"].type) == "int64"


@pytest.mark.parametrize("name", ["object_id", "objectId", "oid", "ZTFID", "OBJECT ID"])
def test_common_names_of_the_object_column_are_accepted(tmp_path, name):
    text = f"{name},class\nZTF18abcdefg,SN\nZTF19ABCDEFG,VS\n'ztf20abcdefg',AGN\nMine,bogus\n"
    labels = read(tmp_path, text)
    assert by_object(labels) == {"ZTF18abcdefg": 1, "ZTF19abcdefg": 2, "ZTF20abcdefg": 0, "Mine": 4}
    assert labels.counts["normalised_ids"] == 2


def test_a_row_labels_its_alert_or_without_a_candid_its_object(tmp_path):
    text = f"candid,object_id,class\n{ONE},A,SN\n,B,VS\nnan,C,AGN\n{TWO},,bogus\n,,SN\n"
    labels = read(tmp_path, text)
    assert by_candid(labels) == {ONE: 1, TWO: 4}
    assert by_object(labels) == {"B": 2, "C": 0}
    assert labels.counts["rows_without_id"] == 1


def test_rows_of_two_classes_are_no_label_and_repeated_rows_are_one(tmp_path):
    text = f"candid,class\n{ONE},SN\n{ONE},AGN\n{TWO},SN\n{TWO},SN\n{THREE},VS\n{THREE},\n"
    labels = read(tmp_path, text)
    assert by_candid(labels) == {ONE: -1, TWO: 1, THREE: 2}
    assert labels.alerts["rows"].to_pylist() == [2, 2, 1]
    assert labels.alerts["line"].to_pylist() == [2, 4, 6]
    assert labels.counts["contradictory_ids"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,class\nA,SN\n", "columns name, class; expected.*candid or object_id, and class"),
        (f"candid,kind\n{ONE},SN\n", "label_column"),
        (f"{ONE},SN\n{TWO},VS\n", f"columns {ONE}, SN"),
        ("", "an empty file"),
        ("\n\n \n", "text|empty"),
        ("candid,class\n", "0 rows"),
        ("candid,class\n# nothing\n", r"0 rows \(1 comments\)"),
        ('"a,b\n1,2\n"x', "columns a,b"),
        ("candid,Candid,candid,class\n1,2,3,SN\n", "2 columns named 'candid'"),
        ("objectId,object_id,class\nA,B,SN\n", "2 columns named"),
        ("candid,class,class\n1,SN,VS\n", "2 columns named 'class'"),
        (TABLE.encode("utf-16-le"), "begins with the bytes 63 00"),
        (b"\x1f\x8b\x08\x00" + bytes(50), "a gzip file"),
        (b"PAR1" + bytes(50), "a Parquet file without its end.*give it as a CSV"),
        (b"<!DOCTYPE html><title>Sign in - Google</title>\n", "an HTML page"),
        (b'[{"candid": 1}]', "JSON"),
        (b"\0" * 5000, "zeros"),
        # No row has one of the classes.
        (f"candid,class\n{ONE},zed\n{TWO},new\n{THREE},zed\n", "3 others .'zed' 2, 'new' 1.*AGN"),
        (f"candid,class\n{ONE},zed\n", "or map it: sources.alerts.class_map"),
        (
            f"candid,class\n{ONE},TDE\n{TWO},zed\n",
            "1 others .'zed' 1., and 1 mapped to none .'TDE' 1",
        ),
        (f"candid,class\n{ONE},4\n", "'4' 1.*AGN, SN, VS, asteroid, bogus.*label_column"),
        (f"candid,class\n{ONE},\n{TWO},nan\n", "2 of 2 rows have none"),
        # No identifier can be read.
        ("candid,class\n3.36e18,SN\n", "line 2: candid '3.36e18', rounded by a spreadsheet"),
        ("candid,class\n3367504081715010000.0,SN\n", "rounded.*all their digits"),
        ('candid,class\n"3,36E+18",SN\n', "rounded"),
        ("candid,class\n9999999999999999999,SN\n", "candid '99999.*more than 63 bits"),
        (f"candid,class\n{2**63},SN\n", "more than 63 bits"),
        ("candid,class\n33675040817150100001,SN\n", "more than 63 bits"),
        ("candid,class\n-5,SN\n", "candid '-5', a negative number"),
        ("candid,class\nZTF18abcdefg,SN\n", "'ZTF18abcdefg', not a whole number"),
        (f"candid,class\n{'9' * 500},SN\n", "too long"),
        ("candid,class\n\u0663\u0664,SN\n", "not a whole number"),
        ("oid,class\na\x07b,SN\n", "not printable"),
        ("candid,object_id,class\n,,SN\n", "1 with a class and neither"),
        # Rows that do not fit the header.
        (
            f"candid,class\n1,{ONE},SN\n2,{TWO},VS\n",
            "2 of 2 rows.*line 2 has 3 fields, its header 2",
        ),
        (f"candid,class\n{ONE};SN\n{TWO};VS\n", "line 2 has 1 fields"),
        (f'candid,class\n{ONE},"SN\n{TWO},VS\n', "quote in the row of line 2"),
    ],
)
def test_a_file_that_is_no_table_of_labels_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 500


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="directory"):
        read_labels(tmp_path, "class")


def test_bad_rows_among_good_ones_are_counted_and_logged(tmp_path, caplog):
    good = "".join(f"{CANDID + i},SN\n" for i in range(20))
    text = f"candid,class\n{good}1,2,SN\n3.3e18,SN\n,SN\n{ONE}x,VS\n"
    labels = read(tmp_path, text)
    assert len(labels.alerts) == 20
    assert labels.counts["rows"] == 24
    assert labels.counts["rows_malformed"] == 1
    assert labels.counts["rows_with_bad_id"] == 2
    assert labels.counts["rows_without_id"] == 1
    assert "1 that do not fit the header (line 22 has 3 fields, its header 2)" in caplog.text
    assert "2 whose identifier cannot be read (line 23: candid '3.3e18', rounded" in caplog.text


def test_the_rows_and_the_names_of_other_classes_are_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    rows = f"{ONE},SN\n{TWO},VS\n4,\n5,new\n6,zed\n7,new\n8,SN Ia\n9,QSO\n10,TDE\n11,SN Ia\n"
    read(tmp_path, f"candid,class\n{rows}")
    assert (
        "10 rows: 5 with one of the classes AGN, SN, VS, asteroid, bogus, 3 of them mapped; "
        "1 without a class; 1 of classes that the class map has as none of these; "
        "3 of other classes"
    ) in caplog.text
    assert "3 rows are mapped: AGN 'QSO' 1; SN 'SN Ia' 2" in caplog.text
    assert "1 rows are no labels, as the class map has it: 'TDE' 1" in caplog.text
    assert (
        "3 rows are no labels, unless sources.alerts.class_map maps their classes: 'new' 2, 'zed' 1"
    ) in caplog.text
    assert all(record.levelname == "INFO" for record in caplog.records)
    caplog.clear()
    read(tmp_path, f"candid,class\n{ONE},SN\n4,new\n5,new\n")
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "'new' 2" in warning.getMessage()
    caplog.clear()
    rows = "".join(f"{CANDID + i},new {i % 30}\n" for i in range(60))
    read(tmp_path, f"candid,class\n{ONE},SN\n{rows}")
    assert "60 rows are no labels" in caplog.text
    # As many as data.json has, and a mark that there are more.
    assert caplog.text.count("'new ") == 20
    assert "2, ...\n" in caplog.text


NAMES = ["SN", "agn", "", "nan", "star", "QSO", "new", "x\x1b[31m", "VS,VS", '"a\nb"']
IDS = [str(ONE), str(TWO), "", "3.3e18", "-1", "'5", "ZTF18abcdefg", "1,2"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(NAMES)), max_size=12))
def test_every_row_is_counted_once(tmp_path, rows):
    good = [f"{CANDID + 100 + i},SN" for i in range(len(rows) + 1)]
    text = "\n".join(["candid,class", *good, *(f"{i},{name}" for i, name in rows)])
    labels = read(tmp_path, text)
    counts = labels.counts
    assert counts["rows"] == len(good) + len(rows)
    unlabelled = counts["other_classes"] + counts["excluded_classes"]
    assert unlabelled + sum(counts.get(f"rows_{kind}", 0) for kind in ROW_KINDS) == counts["rows"]
    assert sum(labels.alerts["rows"].to_pylist()) == counts["rows_labelled"]
    assert all(name.isprintable() and len(name) <= 40 for name in labels.other_classes)


def test_lines_rows_and_names_are_limited(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="number 2 or later, of more than 65536 characters"):
        read(tmp_path, "candid,class\n" + "1" * 1_000_000)
    with pytest.raises(InputError, match="a line, number 1 or later"):
        read(tmp_path, "x" * 1_000_000)
    with pytest.raises(InputError, match="quote in the row of line 2 that is never closed"):
        read(tmp_path, 'candid,class\n"' + f"{ONE},SN\n" * 100_000)
    # Reading ends early, not after all rows.
    with pytest.raises(InputError, match="200 of 200 rows that do not fit"):
        read(tmp_path, "candid,class\n" + "x\n" * 100_000)
    with pytest.raises(InputError, match="200 of 200 rows.*line 2 has 20001 fields"):
        read(tmp_path, "candid,class\n" + ("," * 20_000 + "\n") * 300)
    with pytest.raises(InputError, match="columns candid, class, candid0, candid1"):
        read(tmp_path, ",".join(["candid", "class", *(f"candid{i}" for i in range(5000))]))
    # There may be many long names of other classes: a limited number, shortened, is stored.
    lines = "".join(f"{CANDID + i},{'y' * 30_000}{i}\n{CANDID + i},{i}\n" for i in range(30))
    labels = read(tmp_path, f"candid,class\n{ONE},SN\n{lines}")
    assert labels.counts["other_classes"] == 60
    assert len(labels.other_classes) == 20
    assert max(map(len, labels.other_classes)) <= 40
    with (tmp_path / "labels.csv").open("wb") as file:
        file.truncate(delimited.MAX_BYTES + 1)
    with pytest.raises(InputError, match="found 536870913 bytes; expected at most 536870912"):
        read_labels(tmp_path / "labels.csv", "class")


@pytest.mark.parametrize(
    "rounding",
    [
        lambda c: int(float(c)),
        lambda c: int(f"{c:.14e}".replace(".", "").split("e")[0]) * 10 ** (len(str(c)) - 15),
        lambda c: c // 10**4 * 10**4,  # a spreadsheet's 15 digits of 19
    ],
)
def test_rounded_candids_are_recognised_and_exact_ones_are_not(rounding):
    # As ZTF's: a time, a quadrant, and a number within it.
    exact = [CANDID + 100_000 * (i // 7) + 15_000 + i % 7 for i in range(500)]
    assert not are_rounded(exact)
    assert are_rounded([rounding(c) for c in exact])
    assert not are_rounded([])
    assert not are_rounded([1, 2, 512])


@pytest.mark.parametrize("text", ["12.0", "0012", "1.234.567", "9007199254740991.00"])
def test_a_candid_that_is_exact_in_another_form_is_read(text):
    assert parse_candid(text) == int(text.split(".00")[0].removesuffix(".0").replace(".", ""))


def test_no_labels_are_empty_tables():
    labels = no_labels()
    assert (len(labels.alerts), len(labels.objects)) == (0, 0)
    assert set(labels.counts.values()) == {0}

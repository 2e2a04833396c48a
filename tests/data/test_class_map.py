"""Class maps: the shipped one, a user's, and files that are none."""

import re
import subprocess
import sys

import pytest
import yaml

from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.class_map import SHIPPED, ClassMap, normalise_name, read_class_map
from ztfrep.errors import InputError

# A few names of each taxonomy, by the class that each is: None is none of the five.
EXPECTED = {
    # ALeRCE
    "AGN": "AGN", "QSO": "AGN", "Blazar": "AGN", "SNIa": "SN", "SNIbc": "SN", "SNII": "SN",
    "SLSN": "SN", "SN": "SN", "LPV": "VS", "E": "VS", "DSCT": "VS", "RRL": "VS", "CEP": "VS",
    "Periodic-Other": "VS", "CV/Nova": "VS", "YSO": "VS", "VS": "VS", "asteroid": "asteroid",
    "bogus": "bogus", "TDE": None, "Microlensing": None, "Transient": None, "satellite": None,
    # TNS
    "SN Ia": "SN", "SN Ia-91T-like": "SN", "SN Ib": "SN", "SN Ic": "SN", "SN Ic-BL": "SN",
    "SN II": "SN", "SN IIP": "SN", "SN IIn": "SN", "SN IIb": "SN", "SN Iax[02cx-like]": "SN",
    "SLSN-I": "SN", "SLSN-II": "SN", "CV": "VS", "Nova": "VS", "Varstar": "VS", "LBV": None,
    "Galaxy": None, "Other": None, "Impostor-SN": None, "Kilonova": None, "TDE-H-He": None,
    # SIMBAD, by code and by label
    "BLL": "AGN", "Bla": "AGN", "Sy1": "AGN", "Sy2": "AGN", "Seyfert_1": "AGN", "SN*": "SN",
    "RR*": "VS", "Ce*": "VS", "LP*": "VS", "Mi*": "VS", "EB*": "VS", "V*": "VS", "CV*": "VS",
    "Y*O": "VS", "dS*": "VS", "No*": "VS", "*": None, "**": None, "G": None, "Sy*": None,
    "SN?": None, "Variable": None, "err": None, "S*": None,
    # BTS
    "SN Ibn": "SN", "SN Ia-91bg": "SN", "nova": "VS", "AM CVn": "VS", "CLAGN": "AGN",
    "AGN?": None, "SN Ia?": None, "rock": "asteroid",
}  # fmt: skip


def write(folder, content):
    path = folder / "map.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("name", EXPECTED)
def test_the_shipped_map_has_the_common_taxonomies(name):
    shipped = read_class_map()
    assert name in shipped
    assert shipped.map(name) == EXPECTED[name]


def test_the_shipped_map_has_each_name_once_and_maps_onto_the_five_classes():
    content = yaml.safe_load(SHIPPED.read_text())
    assert set(content) == {*CLASSES, None}
    of_name = {}
    for target, names in content.items():
        for name in names:
            assert of_name.setdefault(normalise_name(name), target) == target, name
    assert read_class_map().classes == of_name
    assert not any(name in read_class_map() for name in ("zebra", "no", "yes", "0", "1", "SNR2"))


def test_the_five_classes_are_themselves():
    shipped = read_class_map()
    assert [shipped.map(name) for name in CLASSES] == list(CLASSES)


@pytest.mark.parametrize(
    ("name", "same"),
    [("SN Ia", "sn-ia"), ("SN Ib/c", "SNIbc"), ("SN Iax[02cx-like]", "SN Iax 02cx like"),
     ("RR*", "rr *"), ("Seyfert_1", "Seyfert1"), ("AGN", "\uff21\uff27\uff2e")],
)  # fmt: skip
def test_case_blanks_and_punctuation_do_not_matter(name, same):
    assert normalise_name(name) == normalise_name(same)


@pytest.mark.parametrize(("name", "other"), [("AGN", "AGN?"), ("No*", "no"), ("M:", "M")])
def test_marks_of_candidates_and_of_codes_matter(name, other):
    assert normalise_name(name) != normalise_name(other)


def test_a_map_may_be_onto_any_classes(tmp_path):
    path = write(tmp_path, 'thermonuclear: [SN Ia, "SN Iax"]\ncore collapse: [SN II]\nnull: [42]\n')
    class_map = read_class_map(path)
    assert class_map.map("SNIa") == "thermonuclear"
    assert class_map.map("sn ii") == "core collapse"
    assert class_map.map("42") is None
    assert "42" in class_map
    # Nothing of the shipped map.
    assert "QSO" not in class_map


def test_a_map_has_priority_over_the_shipped_one(tmp_path):
    path = write(tmp_path, "sn: [TDE, zebra]\nnull: [CV]\n")
    class_map = read_class_map(path, classes=CLASSES, default=True)
    assert class_map.map("TDE") == class_map.map("zebra") == "SN"
    assert class_map.map("CV") is None
    assert class_map.map("QSO") == "AGN"
    path.write_text("default: false\n" + path.read_text())
    assert "QSO" not in read_class_map(path, classes=CLASSES, default=True)
    path.write_text("default: true\nodd: [TDE]\n")
    assert read_class_map(path).map("QSO") == "AGN"
    # A class of this name.
    path.write_text("default: [TDE]\n")
    assert read_class_map(path).map("TDE") == "default"


def test_extending_a_map_leaves_both_as_they_are():
    one, other = ClassMap({"a": "x"}), ClassMap({"a": "y", "b": None})
    assert one.extended(other).classes == {"a": "x", "b": None}
    assert (one.classes, other.classes) == ({"a": "x"}, {"a": "y", "b": None})


BOMB = "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found nothing; expected a list of names for each class"),
        ("- SN\n", "found a list"),
        ("SN\n", "found the text 'SN'"),
        ("SN: SN Ia\n", "map.yaml: SN: found the text 'SN Ia'; expected a list"),
        ("SN: {SN Ia: 1}\n", "found a table"),
        ("SN:\n", "SN: found nothing"),
        ("default: yes\n", "default: found the text 'yes'"),
        ("SN: [null]\n", "SN: found nothing; expected names; write it in quotes"),
        ("SN: [true]\n", "SN: found True (bool); expected names"),
        ("SN: [1.5]\n", "SN: found 1.5 (float)"),
        ("SN: [[SN Ia]]\n", "SN: found a list; expected names"),
        ("SN: [---]\n", "found '---'; expected a name with a letter or a digit"),
        (f"SN: [{'x' * 81}]\n", "a name of 81 characters"),
        ("SN: [SN Ia]\nVS: [sn-ia]\n", "VS: found 'sn-ia', which is in the list of SN too"),
        ("null: [SN Ia]\nVS: [SNIa]\n", "in the list of null too"),
        ("SN: [SN Ia]\nSN: [SN II]\n", "SN: found the key twice, in lines 1 and 2"),
        ("SN: [SN Ia\n", "expected YAML"),
        (BOMB, "found an alias"),
        ("SN: !!python/object/apply:os.system [ls]\n", "found a tag"),
        ("[" * 100, "more than 10 tables in one another"),
        ("SN: [" + "a, " * 20_000 + "a]\n", "more than 32,768 bytes; expected .*docs/data.md"),
        ("SN: [a\0b]\n", "found the character"),
        ('SN: ["\\x1b[31m"]\n', "the character"),
    ],
)
def test_a_file_that_is_no_map_is_refused_in_one_line(tmp_path, content, message):
    pattern = message if ".*" in message else re.escape(message)
    with pytest.raises(InputError, match=pattern) as caught:
        read_class_map(write(tmp_path, content))
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < len(str(tmp_path)) + 400


def test_a_map_onto_other_classes_than_ours_is_refused(tmp_path):
    path = write(tmp_path, "SNe: [SN Ia]\n")
    with pytest.raises(InputError, match="found the class 'SNe'; expected AGN, SN, VS, .* or null"):
        read_class_map(path, classes=CLASSES)
    # It would be ignored: a name of ours is that class.
    path.write_text("null: [Asteroid]\n")
    with pytest.raises(InputError, match="null: found 'Asteroid', which is the class asteroid"):
        read_class_map(path, classes=CLASSES)
    path.write_text("VS: [vs, RRL]\n")
    assert read_class_map(path, classes=CLASSES).map("VS") == "VS"


def test_a_missing_map_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file.*docs/data.md"):
        read_class_map(tmp_path / "map.yaml")
    with pytest.raises(InputError, match="a folder"):
        read_class_map(tmp_path)


def test_reading_a_map_imports_nothing_slow():
    program = (
        "import sys; from ztfrep.data.class_map import read_class_map; read_class_map();"
        "print(sorted({'numpy', 'pyarrow', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr

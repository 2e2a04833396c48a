"""Alert tables by other hands: each breaks one promise, and is refused on opening, by name."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.alert_packets import CANDID
from ztfrep.data.alert_schema import CLASSES, TableInfo
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.errors import InputError

INFO = TableInfo(21, 21, "counts", "physical")
ROWS = 12
OBJECTS = ["A", "A", "A", "B", "B", "C", "D", "D", "E", "F", "F", "G"]
SPLITS = ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
FLOAT = pa.float32()
DETECTIONS = [0, 1, 5, 0, 2, 0, 0, 1, 0, 3, 4, 0]


def columns(stamp_location="inline", unit="physical"):
    rng = np.random.default_rng(0)
    stamps = rng.normal(100, 9, (ROWS, 3, 21, 21)).astype(np.float32)
    # A stamp at the edge of the field, and a channel that is not observed.
    stamps[1, :, :4] = np.nan
    stamps[2, 1] = np.nan
    content = {
        "object_id": OBJECTS,
        "candid": [CANDID + row if row != 4 else None for row in range(ROWS)],
        "mjd": [59000.0 + row if row != 7 else np.nan for row in range(ROWS)],
        "fid": [1, 2, 3] * 4,
        "detection": DETECTIONS,
        "split": SPLITS,
        "label": np.array([0, 0, 0, 1, 1, 4, 2, 2, -1, 3, 3, 0]),
        "n_copies": [1, 2] * 6,
        "has_stamps": np.array([row != 4 for row in range(ROWS)]),
    }
    if stamp_location == "inline":
        content["stamps"] = stamps[content["has_stamps"]]
    if unit != "none":
        content |= {"ra": rng.random(ROWS) * 360, "dec": rng.random(ROWS) * 180 - 90}
        content |= {
            "magpsf": [18.5, np.nan] * 6,
            "ndethist": np.arange(ROWS),
            "sgscore1": [-1] * 12,
        }
    return content


def written(path, **changes):
    info = replace(INFO, **changes)
    with AlertWriter(path, info) as writer:
        writer.write(columns(info.stamp_location, info.feature_unit))
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return {
        "main": pq.read_table(written(folder / "main.parquet")),
        "by_candid": pq.read_table(written(folder / "series.parquet", stamp_location="by_candid")),
        "none": pq.read_table(written(folder / "none.parquet", feature_unit="none")),
        "zscored": pq.read_table(written(folder / "z.parquet", feature_unit="zscored-unknown")),
    }


def save(table, path, **options):
    """Write as another program does: no checksum of ours, other dictionaries."""
    pq.write_table(table, path, **options)
    return path


def put(table, name, row, value):
    """Change one value of a column."""
    field = table.schema.field(name)
    values = table.column(name).to_pylist()
    values[row] = value
    return table.set_column(table.schema.names.index(name), field, pa.array(values, field.type))


def swap(table, one, other):
    order = list(range(len(table)))
    order[one], order[other] = order[other], order[one]
    return table.take(order)


def meta(table, **values):
    """Change the schema's metadata; None removes a key."""
    entries = {key.decode(): value for key, value in table.schema.metadata.items()} | values
    return table.replace_schema_metadata({k: v for k, v in entries.items() if v is not None})


def retype(table, name, kind, *, nullable=None):
    field = table.schema.field(name)
    field = pa.field(name, kind, field.nullable if nullable is None else nullable)
    column = table.schema.names.index(name)
    return table.set_column(column, field, table.column(name).cast(kind, safe=False))


def pixels(table, row, change):
    """Change the stamps of a row, float32 `(3, H, W)`."""
    column = table.schema.names.index("stamps")
    field = table.schema.field("stamps")
    storage = [None if v is None else np.array(v, np.float32) for v in rows_of(table)]
    if row is not None:
        values = np.zeros(field.type.shape) if storage[row] is None else storage[row]
        values = np.array(values, np.float32).reshape(field.type.shape)
        storage[row] = change(values)
        storage[row] = None if storage[row] is None else storage[row].ravel()
    array = pa.array(storage, pa.list_(pa.float32(), int(np.prod(field.type.shape))))
    return table.set_column(column, field, pa.ExtensionArray.from_storage(field.type, array))


def rows_of(table):
    return table.column("stamps").combine_chunks().storage.to_pylist()


def fill(value, *index):
    def change(stamp):
        stamp[index] = value
        return stamp

    return change


def tensor(table, shape, value=FLOAT):
    """Stamps of another shape or type."""
    kind = pa.fixed_shape_tensor(value, shape)
    size = int(np.prod(shape))
    flat = pa.array(np.ones(len(table) * size), value)
    storage = pa.FixedSizeListArray.from_arrays(flat, size)
    array = pa.ExtensionArray.from_storage(kind, storage)
    return table.set_column(table.schema.names.index("stamps"), pa.field("stamps", kind), array)


def renamed(table, change):
    names = [change(name) for name in table.schema.names]
    return table.rename_columns(names).replace_schema_metadata(table.schema.metadata)


def doubled(table):
    return pa.Table.from_arrays(
        [*table.columns, table.column("ra")],
        schema=pa.schema([*table.schema, table.schema.field("ra")], table.schema.metadata),
    )


# The fault, the table of `tables` that gets it, the change, the message.
WRONG = [
    # --- labels: an index into the classes that the table names
    ("label 99", "main", lambda t: put(t, "label", 3, 99), "label 99 in row 3 .object 'B'"),
    ("label 5 of 5 classes", "main", lambda t: put(t, "label", 0, 5), "label 5 in row 0"),
    ("label -1, which is null", "main", lambda t: put(t, "label", 0, -1), "label -1 in row 0"),
    ("a class the table has not", "main", lambda t: meta(t, classes="AGN,SN,VS"), "label 4 in"),
    ("two labels of one object", "by_candid", lambda t: put(t, "label", 1, 3), "label 3 after 0"),
    ("an object half labelled", "by_candid", lambda t: put(t, "label", 1, None), "label -1 after"),
    # --- splits
    ("unknown split", "main", lambda t: put(t, "split", 5, "Train"), "split 'Train' in row 5"),
    ("empty split", "main", lambda t: put(t, "split", 5, ""), "split '' in row 5"),
    ("long split", "main", lambda t: put(t, "split", 5, "x" * 99), "split of 99 bytes"),
    ("object in two splits", "main", lambda t: put(t, "object_id", 11, "C"), "'C' in train .row 5"),
    ("object across splits", "main",
     lambda t: put(t, "object_id", 6, "C"), "after train of the sa"),
    ("split within an object", "main", lambda t: put(t, "split", 1, "test"), "test after train"),
    # --- order
    ("splits unsorted", "main", lambda t: t.take([*range(9, 12), *range(9)]), "train after test"),
    ("splits reversed", "main", lambda t: t.take([*range(11, -1, -1)]), "after"),
    ("objects apart", "main",
     lambda t: t.take([0, 3, 1, 2, 4, *range(5, 12)]), "rows of object 'A'"),
    ("detections unsorted", "main", lambda t: swap(t, 0, 1), "detection 0 after 1 in row 1"),
    ("times unsorted", "main", lambda t: put(t, "mjd", 1, 58000.0), "mjd 58000.0 after 59000.0"),
    # --- identity
    ("a row twice", "main", lambda t: t.take([0, *range(12)]), "detection 0 after 0 in row 1"),
    ("detection twice", "main",
     lambda t: put(t, "detection", 1, 0), "detection 0 after 0 in row 1"),
    ("candid twice", "main", lambda t: put(t, "candid", 9, CANDID), "candid .* row 0 and row 9"),
    ("the table twice", "main", lambda t: pa.concat_tables([t, t]), "split train after test"),
    ("no object", "main", lambda t: put(t, "object_id", 5, ""), "an object_id in row 5"),
    ("an id of control codes", "main", lambda t: put(t, "object_id", 5, "\x1b[2J"), "an object_id"),
    ("an id of 1 MB", "main", lambda t: put(t, "object_id", 5, "x" * 10**6), "1000000 bytes"),
    ("negative candid", "main", lambda t: put(t, "candid", 0, -5), "candid -5 in row 0"),
    # --- ranges
    ("no copy", "main", lambda t: put(t, "n_copies", 0, 0), "n_copies 0 in row 0"),
    ("negative copies", "main", lambda t: put(t, "n_copies", 1, -3), "n_copies -3 in row 1"),
    ("negative detection", "main", lambda t: put(t, "detection", 0, -1), "detection -1 in row 0"),
    ("filter 0", "main", lambda t: put(t, "fid", 2, 0), "fid 0 in row 2"),
    ("filter 4", "main", lambda t: put(t, "fid", 2, 4), "fid 4 in row 2"),
    ("a Julian date", "main", lambda t: put(t, "mjd", 11, 2459000.5), "mjd 2459000.5 in row 11"),
    ("negative mjd", "main", lambda t: put(t, "mjd", 0, -1.0), "mjd -1.0 in row 0"),
    ("infinite mjd", "main", lambda t: put(t, "mjd", 11, np.inf), "mjd inf in row 11"),
    ("mjd NaN, not null", "main", lambda t: put(t, "mjd", 11, np.nan), "mjd nan in row 11"),
    ("ra 361", "main", lambda t: put(t, "ra", 3, 361.0), "ra 361.0 in row 3 .*expected 0 to 360"),
    ("negative ra", "main", lambda t: put(t, "ra", 3, -1.0), "ra -1.0 in row 3"),
    ("dec 91", "main", lambda t: put(t, "dec", 3, 91.0), "dec 91.0 in row 3"),
    ("latitude 100", "main", lambda t: put(t, "gal_lat", 3, 100.0), "gal_lat 100.0 in row 3"),
    ("negative history", "main", lambda t: put(t, "ndethist", 3, -2.0), "ndethist -2.0 in row 3"),
    ("negative coverage", "main", lambda t: put(t, "ncovhist", 3, -2.0), "ncovhist -2.0 in row 3"),
    ("infinite feature", "main", lambda t: put(t, "magpsf", 0, np.inf), "magpsf inf in row 0"),
    ("infinite z-score", "zscored", lambda t: put(t, "rb", 2, -np.inf), "rb -inf in row 2"),
    ("feature NaN, not null", "main", lambda t: put(t, "rb", 2, np.nan), "rb nan in row 2"),
    ("the survey's -999", "main", lambda t: put(t, "magnr", 2, -999.0), "magnr -999.0 in row 2"),
    ("a feature of no unit", "none", lambda t: put(t, "rb", 2, 0.5), "rb 0.5 in row 2"),
    # --- pixels: NaN is the mask, null is no stamp
    ("infinite pixel", "main",
     lambda t: pixels(t, 3, fill(np.inf, 0, 0, 0)), "pixel of inf in row 3"),
    ("pixel -inf", "main",
     lambda t: pixels(t, 1, fill(-np.inf, 0, 9, 9)), "pixel of -inf in row 1"),
    ("no-data pixel", "main",
     lambda t: pixels(t, 5, fill(-3.4e38, 2)), "pixel of -3.4e.38 in row 5"),
    ("stamps of NaN", "main", lambda t: pixels(t, 6, fill(np.nan, ...)), "NaN alone in row 6"),
    ("null though claimed", "main", lambda t: pixels(t, 8, lambda s: None), "no stamps in row 8"),
    ("stamps not claimed", "main", lambda t: pixels(t, 4, fill(1, ...)), "found stamps in row 4"),
    ("claimed, not there", "main", lambda t: put(t, "has_stamps", 4, True), "no stamps in row 4"),
    ("there, not claimed", "main", lambda t: put(t, "has_stamps", 11, False), "stamps in row 11"),
    ("stamps of both tables", "by_candid", lambda t: pixels(t, 2, fill(1, ...)), "stamps in row 2"),
    ("stamps in neither table", "by_candid",
     lambda t: put(t, "candid", 3, None), "has_stamps, and no c"),
    ("location inline of stamps elsewhere", "by_candid",
     lambda t: meta(t, stamp_location="inline"), "no stamps in row 0"),
    ("location elsewhere of stamps inline", "main",
     lambda t: meta(t, stamp_location="by_candid"), "and no candid|found stamps"),
    # --- size of stamps
    ("20 pixels", "main", lambda t: tensor(t, [3, 20, 20]), "stamps of 20 x 20 pixels"),
    ("one side of 20", "main", lambda t: tensor(t, [3, 63, 20]), "stamps of 63 x 20 pixels"),
    ("1025 pixels", "main", lambda t: tensor(t, [3, 1025, 21]), "stamps of 1025 x 21 pixels"),
    ("two channels", "main", lambda t: tensor(t, [2, 21, 21]), r"stamps of shape '\[2, 21, 21\]'"),
    ("no channels", "main", lambda t: tensor(t, [21, 21]), r"stamps of shape '\[21, 21\]'"),
    ("doubles", "main", lambda t: tensor(t, [3, 21, 21], pa.float64()), "column stamps of type"),
    # --- metadata of the schema
    ("unknown scaling", "main", lambda t: meta(t, scaling="log"), "scaling 'log'.*one of counts"),
    ("unknown unit", "main", lambda t: meta(t, feature_unit="cgs"), "feature_unit 'cgs'"),
    ("unknown location", "main",
     lambda t: meta(t, stamp_location="disk"), "stamp_location 'disk'.*inline, by_candid"),
    ("no scaling", "main", lambda t: meta(t, scaling=None), "no scaling in"),
    ("no unit", "main", lambda t: meta(t, feature_unit=None), "no feature_unit in"),
    ("no classes", "main", lambda t: meta(t, classes=None), "no classes in"),
    ("no channels named", "main", lambda t: meta(t, channels=None), "no channels in"),
    ("no location", "main", lambda t: meta(t, stamp_location=None), "no stamp_location in the s"),
    ("no format", "main", lambda t: meta(t, format=None), "format None"),
    ("an older format", "main", lambda t: meta(t, format="ztfrep-alerts-3"), "format 'ztfrep-aler"),
    ("no metadata at all", "main", lambda t: t.replace_schema_metadata(None), "format None"),
    ("metadata of bytes", "main", lambda t: meta(t, scaling=b"\xff\xfe"), "scaling "),
    ("metadata of 200 kB", "main", lambda t: meta(t, classes="A," * 10**5), "classes 'A,A"),
    ("channels in another order", "main",
     lambda t: meta(t, channels="template,science,difference"), "found channels template"),
    ("classes in another order", "main", lambda t: meta(t, classes="SN,AGN"), "classes 'SN,AGN'"),
    ("other classes", "main", lambda t: meta(t, classes="star,galaxy"), "classes 'star,galaxy'"),
    ("a class too many", "main",
     lambda t: meta(t, classes=",".join([*CLASSES, "TDE"])), "classes 'AGN,SN"),
    ("empty classes", "main", lambda t: meta(t, classes=""), "classes ''"),
    # --- columns
    ("candid of floats", "main", lambda t: retype(t, "candid", pa.float64()), "column candid of"),
    ("candid of text", "main", lambda t: retype(t, "candid", pa.string()), "column candid of type"),
    ("candid unsigned", "main",
     lambda t: retype(t, "candid", pa.uint64()), "column candid of type"),
    ("label of text", "main", lambda t: retype(t, "label", pa.string()), "column label of type"),
    ("label of int64", "main", lambda t: retype(t, "label", pa.int64()), "column label of type"),
    ("features of doubles", "main", lambda t: retype(t, "rb", pa.float64()), "column rb of type"),
    ("ra of float32", "main", lambda t: retype(t, "ra", pa.float32()), "column ra of type"),
    ("large text", "main", lambda t: retype(t, "object_id", pa.large_string()), "column object_id"),
    ("ids in a dictionary", "main",
     lambda t: retype(t, "object_id", pa.dictionary(pa.int32(), pa.string())), "column object_id"),
    ("flags of integers", "main",
     lambda t: retype(t, "has_stamps", pa.int8()), "column has_stamps"),
    ("ids that may be null", "main",
     lambda t: retype(t, "object_id", pa.string(), nullable=True), "column object_id of type"),
    ("labels never null", "main",
     lambda t: retype(put(t, "label", 8, 0), "label", pa.int8(), nullable=False), "column label"),
    ("a column too many", "main",
     lambda t: t.append_column("redshift", pa.array([0.1] * ROWS)), "a column 'redshift'"),
    ("a column missing", "main", lambda t: t.drop_columns(["rb"]), "no column rb"),
    ("no stamps column", "main", lambda t: t.drop_columns(["stamps"]), "no column stamps"),
    ("a column twice", "main", doubled, "column ra twice"),
    ("columns in another order", "main",
     lambda t: t.select([*t.schema.names[1:], "object_id"]), "candid as column 0"),
    ("columns in upper case", "main",
     lambda t: renamed(t, str.upper), "no column object_id"),
    ("stamps as lists", "main",
     lambda t: t.set_column(9, "stamps", t.column("stamps").combine_chunks().storage),
     "stamps of type"),
    ("nested metadata", "main",
     lambda t: t.set_column(10, "sgscore1", pa.array([{"x": 1}] * ROWS)), "column sgscore1 of"),
    ("no rows", "main", lambda t: t.slice(0, 0), "no rows"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [case[1:] for case in WRONG],
    ids=[case[0].replace(" ", "_") for case in WRONG],
)
def test_a_wrong_table_is_refused_on_opening(tmp_path, tables, kind, change, message):
    path = save(change(tables[kind]), tmp_path / "wrong.parquet")
    with pytest.raises(InputError, match=message) as error:
        AlertTable(path)
    text = str(error.value)
    assert text.startswith(f"{path}: found ")
    assert "; expected " in text
    assert "\n" not in text
    assert len(text) < 500 + len(str(path))

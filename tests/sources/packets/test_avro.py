"""Records read straight into arrays: as fastavro reads them, and safe on hostile bytes."""

import io
import json

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.alert_packets import container, written
from ztfrep.sources.packets import avro
from ztfrep.sources.packets.avro_schemas import INTEGER, NUMBER, TEXT, Field, compile_schema
from ztfrep.sources.packets.containers import MOST_RECORDS, open_container

SCALARS = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]


def values(schema):
    """Draw a value of a schema, as fastavro writes and reads it."""
    if isinstance(schema, list):
        return st.one_of(*map(values, schema))
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "record":
        return st.fixed_dictionaries({f["name"]: values(f["type"]) for f in schema["fields"]})
    if kind == "array":
        return st.lists(values(schema["items"]), max_size=3)
    if kind == "map":
        return st.dictionaries(st.text(max_size=3), values(schema["values"]), max_size=3)
    if kind == "fixed":
        return st.binary(min_size=schema["size"], max_size=schema["size"])
    if kind == "enum":
        return st.sampled_from(schema["symbols"])
    return {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(width=32, allow_nan=False),
        "double": st.floats(allow_nan=False),
        "bytes": st.binary(max_size=20),
        "string": st.text(max_size=10),
    }[kind]


def has_bytes(schema):
    """Items without a byte are refused: they could be counted for ever."""
    if isinstance(schema, dict) and schema["type"] == "record":
        return any(has_bytes(field["type"]) for field in schema["fields"])
    return schema != "null" and not (isinstance(schema, dict) and schema.get("size") == 0)


@st.composite
def schemas(draw, depth=2):
    number = draw(st.integers(0, 10**9))
    kind = draw(st.sampled_from([*SCALARS, "fixed", "enum", "array", "map", "union", "record"]))
    if depth == 0 or kind in SCALARS:
        return kind if kind in SCALARS else "long"
    if kind == "fixed":
        return {"type": "fixed", "name": f"f{number}", "size": draw(st.integers(0, 9))}
    if kind == "enum":
        return {"type": "enum", "name": f"e{number}", "symbols": ["a", "b"]}
    if kind == "array":
        return {"type": "array", "items": draw(schemas(depth - 1).filter(has_bytes))}
    if kind == "map":
        return {"type": "map", "values": draw(schemas(depth - 1))}
    if kind == "union":
        return draw(st.permutations(["null", "double", "string"]))
    fields = draw(st.lists(schemas(depth - 1), min_size=1, max_size=4))
    named = [{"name": f"p{i}", "type": field} for i, field in enumerate(fields)]
    return {"type": "record", "name": f"r{number}", "fields": named}


def compiled(schema, *fields, rows=()):
    """A schema's program; of a field that is named only, any number or text is wanted."""
    known = [field if isinstance(field, Field) else Field(field) for field in fields]
    names = [field if isinstance(field, Field) else Field(field) for field in rows]
    return compile_schema(json.dumps(schema).encode(), known, "rows", names)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_wanted_fields_are_what_fastavro_reads_between_any_others(data):
    before, after = data.draw(schemas()), data.draw(schemas())
    schema = {
        "type": "record",
        "name": "top",
        "fields": [
            {"name": "before", "type": before},
            {"name": "number", "type": ["null", "float", "long"]},
            {"name": "text", "type": ["string", "null"]},
            {
                "name": "rows",
                "type": [
                    "null",
                    {
                        "type": "array",
                        "items": {
                            "type": "record",
                            "name": "row",
                            "fields": [
                                {"name": "skipped", "type": "string"},
                                {"name": "value", "type": ["null", "double"]},
                            ],
                        },
                    },
                ],
            },
            {"name": "after", "type": after},
            {"name": "last", "type": "long"},
        ],
    }
    try:
        record = data.draw(values(fastavro.parse_schema(schema)))
    except fastavro.schema.SchemaParseException:
        return  # Two drawn types of one name.
    block = written(schema, record)
    fields = ("number", "text", "last", "absent")
    program = compiled(schema, *fields, rows=("value",))
    reader = avro.Reader(len(fields), 1)
    assert reader.read(program, block, 0) == len(block)
    numbers, spans = (part[0] for part in reader.alerts)
    expected = fastavro.schemaless_reader(io.BytesIO(block), fastavro.parse_schema(schema), None)
    if expected["number"] is None:
        assert np.isnan(numbers[0])
    else:
        assert numbers[0] == float(expected["number"])
    start, size = spans[1]
    text = None if size < 0 else block[start : start + size].decode()
    assert text == expected["text"]
    assert spans[2, 0] == expected["last"]
    assert np.isnan(numbers[3])
    assert spans[3].tolist() == [-1, -1]
    rows = [np.nan if r["value"] is None else r["value"] for r in expected["rows"] or []]
    np.testing.assert_array_equal(reader.rows.numbers[: reader.n_rows, 0], rows)


EPOCHS = {
    "type": "record",
    "name": "top",
    "fields": [
        {"name": "rows", "type": {"type": "array", "items": {
            "type": "record", "name": "row", "fields": [{"name": "v", "type": "long"}]}}},
    ],
}  # fmt: skip
ROWS = {
    "type": "record",
    "name": "top",
    "fields": [
        {"name": "a", "type": "long"},
        {"name": "rows", "type": {"type": "array", "items": "long"}},
        {"name": "text", "type": "string"},
    ],
}


def test_room_grows_with_the_rows_and_with_the_records():
    program = compiled(EPOCHS, rows=("v",))
    reader = avro.Reader(0, 1)
    for first in range(0, 30_000, 100):
        block = written(EPOCHS, {"rows": [{"v": first + i} for i in range(100)]})
        reader.read(program, block, 0)
    assert reader.n_alerts == 300
    np.testing.assert_array_equal(reader.rows.numbers[: reader.n_rows, 0], np.arange(30_000))


def test_a_record_of_far_more_rows_than_any_packet_has_is_refused():
    program = compiled(EPOCHS, rows=("v",))
    reader = avro.Reader(0, 1)
    with pytest.raises(ValueError, match="far more epochs"):
        reader.read(program, written(EPOCHS, {"rows": [{"v": 1}] * 200_000}), 0)
    assert reader.n_rows == 0
    assert len(reader.rows.numbers) < 50_000


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_read_within_bounds(data):
    block = bytearray(written(ROWS, {"a": 5, "rows": list(range(50)), "text": "x" * 40}))
    for _ in range(data.draw(st.integers(1, 5))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(block[: data.draw(st.integers(0, len(block)))])
    program = compiled(ROWS, "a", "text")
    reader = avro.Reader(2, 0)
    try:
        end = reader.read(program, cut, 0)
    except ValueError:
        assert reader.n_alerts == 0
        assert reader.n_rows == 0
    else:
        start, size = reader.alerts.spans[0, 1]
        assert 0 <= start <= start + size <= end <= len(cut)


def varint(value):
    return written("long", value)


@pytest.mark.parametrize(
    "block",
    [
        varint(1) + varint(2**62),  # an array of more items than there are bytes
        varint(1) + varint(-(2**63)) + varint(0),  # a count whose sign cannot be turned
        varint(1) + varint(0) + varint(2**62),  # a text that ends far outside
        varint(1) + varint(0) + varint(-5),  # a text of negative length
        b"\xff" * 30,  # a number without end
    ],
)
def test_hostile_lengths_are_refused(block):
    program = compiled(ROWS, "a")
    with pytest.raises(ValueError, match="do not follow"):
        avro.Reader(1, 0).read(program, block, 0)


def test_items_without_bytes_are_not_counted_for_ever():
    schema = {"type": "array", "items": "null"}
    program = compiled(schema)
    with pytest.raises(ValueError, match="do not follow"):
        avro.Reader(0, 0).read(program, varint(20) + bytes(40), 0)


def doubling(levels):
    """A schema whose every type holds the next one ten times over."""
    kind = "long"
    for level in range(levels):
        first = {"name": "f0", "type": kind}
        again = kind["name"] if isinstance(kind, dict) else kind
        rest = [{"name": f"f{i}", "type": again} for i in range(1, 10)]
        kind = {"type": "record", "name": f"r{level}", "fields": [first, *rest]}
    return kind


@pytest.mark.parametrize(
    "schema",
    [
        b"{",
        b"[1, 2]",
        b'"no such type"',
        b"[" * 5000,
        json.dumps(doubling(8)).encode(),
        # A type that holds itself.
        b'{"type": "record", "name": "a", "fields": [{"name": "a", "type": "a"}]}',
        b'{"type": "array"}',
        b"\xff\xfe",
        b'["int", 5]',
        b'{"type": "fixed", "name": "a", "size": -1}',
        b'{"type": "fixed", "name": "a", "size": 1180591620717411303424}',
        b'{"type": "fixed", "name": "a", "size": 1e400}',
        b'{"type": "fixed", "name": "a", "size": Infinity}',
        b'{"type": "fixed", "name": "a", "size": NaN}',
        b'{"type": "fixed", "name": "a", "size": true}',
        b'{"type": "fixed", "name": "a", "size": "5"}',
        b'{"type": "fixed", "name": "a", "size": ' + b"9" * 5000 + b"}",
        b'{"type": "enum", "name": "a", "symbols": 5}',
        # Two types of one name, two fields of one name.
        json.dumps(
            {
                "type": "record",
                "name": "a",
                "fields": [{"name": "x", "type": {"type": "fixed", "name": "a", "size": 1}}],
            }
        ).encode(),
        json.dumps(
            {
                "type": "record",
                "name": "a",
                "fields": [{"name": "x", "type": "int"}, {"name": "x", "type": "int"}],
            }
        ).encode(),
        b'{"__fastavro_parsed": true, "type": "record", "name": "a", "fields": 3}',
    ],
)
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(ValueError, match="schema|fixed type whose size|a field twice"):
        compile_schema(schema, ())


TYPES = {
    "a boolean": ("boolean", True),
    "an integer": ("int", 5),
    "a float": ("float", 5.0),
    "a double": ("double", 5.0),
    "a string": ("string", "5"),
    "a string of bytes": ("bytes", b"5"),
    "a string of bytes of fixed length": ({"type": "fixed", "name": "f", "size": 1}, b"5"),
    "an enum": ({"type": "enum", "name": "e", "symbols": ["t", "f"]}, "t"),
    "an array": ({"type": "array", "items": "long"}, [5]),
    "a map": ({"type": "map", "values": "long"}, {"x": 5}),
    "a record": ({"type": "record", "name": "r", "fields": []}, {}),
}  # fmt: skip


@pytest.mark.parametrize("wanted", [INTEGER, NUMBER, TEXT])
@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("stored", TYPES)
def test_a_value_of_another_type_is_refused_by_name_or_marked_never_misread(
    stored, optional, wanted
):
    kind, value = TYPES[stored]
    schema = {"type": "record", "name": "top", "fields": [
        {"name": "a", "type": ["null", kind] if optional else kind},
        {"name": "b", "type": "long"},
    ]}  # fmt: skip
    block = written(schema, {"a": value, "b": 77})
    name = kind if isinstance(kind, str) else kind["type"]
    reader = avro.Reader(2, 0)
    if name in wanted.names:
        reader.read(compiled(schema, Field("a", wanted, required=True), "b"), block, 0)
        number, (start, size) = reader.alerts.numbers[0, 0], reader.alerts.spans[0, 0]
        if wanted is TEXT:
            assert block[start : start + size] == b"5"
        else:
            assert (number, size) == (5, -1)
        return
    with pytest.raises(avro.RefusedError, match=f"^a is {stored}, not {wanted.words}$"):
        reader.read(compiled(schema, Field("a", wanted, required=True), "b"), block, 0)
    assert reader.n_alerts == 0
    # Of a field that is not required the value is marked, and what follows is read.
    reader.read(compiled(schema, Field("a", wanted), "b"), block, 0)
    assert np.isnan(reader.alerts.numbers[0, 0])
    assert reader.alerts.spans[0, 0].tolist() == [-1, avro.UNREADABLE]
    assert reader.alerts.numbers[0, 1] == 77


def test_a_union_is_refused_by_the_value_that_is_there():
    schema = {"type": "record", "name": "top", "fields": [
        {"name": "a", "type": ["null", "string", "long"]}]}  # fmt: skip
    program = compiled(schema, Field("a", INTEGER, required=True))
    reader = avro.Reader(1, 0)
    for value in (None, 2**62 + 1):
        reader.read(program, written(schema, {"a": value}), 0)
    assert reader.alerts.spans[:2, 0, 0].tolist() == [-1, 2**62 + 1]
    with pytest.raises(avro.RefusedError, match="a is a string, not a 64-bit integer"):
        reader.read(program, written(schema, {"a": "7"}), 0)


def test_only_items_of_the_wanted_array_are_rows():
    inner = {"type": "record", "name": "row", "fields": [{"name": "v", "type": "long"}]}
    for kind, value in (
        (inner, {"v": 5}),
        ({"type": "map", "values": inner}, {"x": {"v": 5}}),
        ({"type": "array", "items": {"type": "array", "items": inner}}, [[{"v": 5}]]),
    ):
        schema = {"type": "record", "name": "top", "fields": [{"name": "rows", "type": kind}]}
        reader = avro.Reader(1, 1)
        reader.read(compiled(schema, "a", rows=("v",)), written(schema, {"rows": value}), 0)
        assert np.isnan(reader.alerts.numbers[0, 0])
        assert np.isnan(reader.rows.numbers[: reader.n_rows]).all()


@pytest.mark.parametrize(
    ("text", "same"), [("True", "true"), (" t ", "t"), ("FALSE", "false"), ("-1", "-1")]
)
def test_a_short_text_has_a_code_whatever_its_case_and_blanks(text, same):
    reader = avro.Reader(1, 0)
    schema = {"type": "record", "name": "top", "fields": [{"name": "a", "type": "string"}]}
    reader.read(compiled(schema, "a"), written(schema, {"a": text}), 0)
    assert reader.alerts.numbers[0, 0] == avro.word_code(same) == avro.word_code(text)
    assert np.isnan(avro.word_code("a longer text"))
    assert avro.word_code("t") != avro.word_code("f")


def test_what_a_file_asks_for_is_limited_by_the_file():
    nothing = {"type": "record", "name": "top", "fields": [
        {"name": "rows", "type": {"type": "array", "items": {
            "type": "record", "name": "row", "fields": [{"name": "v", "type": ["null", "long"]}]}}},
    ]}  # fmt: skip
    block = varint(9_000) + bytes(9_000) + varint(0)
    program = compiled(nothing, rows=("v",))
    reader = avro.Reader(0, 1)
    with pytest.raises(ValueError, match="far more epochs"):
        for _ in range(100):
            reader.read(program, block, 0)
    assert reader.n_rows == 99_000
    reader.drop(0, 0)
    reader.begin_file()
    assert reader.read(program, block, 0) == len(block)
    # Values that are stepped over count too.
    long = {"type": "array", "items": ["null", "long"]}
    block, program = varint(5_000_000) + bytes(5_000_000) + varint(0), compiled(long)
    with pytest.raises(ValueError, match="far more epochs or values"):
        for _ in range(10):
            reader.read(program, block, 0)


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_container_gives_its_blocks(codec):
    file = io.BytesIO()
    records = [{"a": i, "rows": [], "text": ""} for i in range(3)]
    fastavro.writer(file, fastavro.parse_schema(ROWS), records, codec)
    header, blocks = open_container(file.getvalue())
    assert header.packed == (codec == "deflate")
    program = compile_schema(header.schema, [Field("a")])
    reader = avro.Reader(1, 0)
    for count, block in blocks:
        end = 0
        for _ in range(count):
            end = reader.read(program, block, end)
        assert end == len(block)
    assert reader.alerts.numbers[:3, 0].tolist() == [0, 1, 2]


def test_a_small_file_that_unpacks_to_far_more_is_refused():
    file = io.BytesIO()
    record = {"a": 1, "rows": [], "text": "x" * 100_000_000}
    fastavro.writer(file, fastavro.parse_schema(ROWS), [record], "deflate")
    _, blocks = open_container(file.getvalue())
    with pytest.raises(ValueError, match="too long"):
        list(blocks)


def test_a_container_of_far_more_records_than_any_is_refused_before_one_is_read():
    one = written(ROWS, {"a": 1, "rows": [], "text": ""})
    for blocks in ([(MOST_RECORDS + 1, one * (MOST_RECORDS + 1))], [(1, one)] * (MOST_RECORDS + 1)):
        with pytest.raises(ValueError, match="1001 records or more.*may have 1000; split it"):
            open_container(container(ROWS, *blocks, packed=True))
    _, blocks = open_container(container(ROWS, (MOST_RECORDS, one * MOST_RECORDS), packed=True))
    assert sum(count for count, _ in blocks) == MOST_RECORDS
    with pytest.raises(ValueError, match="records"):
        open_container(container(ROWS, *[(0, b"")] * 10_000))


def test_a_header_is_read_once_for_the_files_that_share_it():
    first, second = (container(ROWS, (1, bytes([n]) * 9)) for n in (1, 2))
    other = container(EPOCHS, (1, bytes(9)), packed=True)
    header, _ = open_container(first)
    again, blocks = open_container(second, header)
    assert again is header
    assert list(blocks) == [(1, b"\2" * 9)]
    changed, _ = open_container(other, header)
    assert changed == open_container(other)[0] != header
    with pytest.raises(ValueError, match="no Avro container"):
        open_container(b"hello", header)
    with pytest.raises(ValueError, match="cut short"):
        open_container(header.data + b"short", header)


def test_all_blocks_together_are_limited():
    _, blocks = open_container(container(ROWS, *[(1, bytes(30_000_000))] * 3, packed=True))
    with pytest.raises(ValueError, match="more than 64 MB of records; split the file"):
        list(blocks)


def test_a_container_of_a_far_longer_schema_than_any_is_refused():
    with pytest.raises(ValueError, match="a schema of 1000005 bytes, more than 524288"):
        open_container(container(b'"int"' + b" " * 1_000_000))


def test_a_container_damaged_behind_its_records_is_refused_with_the_place():
    whole = container(ROWS, (1, written(ROWS, {"a": 1, "rows": [], "text": ""})))
    with pytest.raises(ValueError, match=rf"at byte {len(whole)} of {len(whole) + 7}, behind 1 re"):
        open_container(whole + b"rubbish")


@pytest.mark.parametrize(
    "entries",
    [
        varint(2**62) + b"x" * 1000,
        varint(-5) + varint(2**62) + b"x" * 1000,
        varint(1) + varint(-7) + b"x" * 1000,
        varint(1) + varint(2**62) + b"x" * 1000,
        varint(100_000) + b"".join(b"\6%3d\0" % i for i in range(1000)) + varint(0),
        varint(2) + (varint(1) + b"a" + varint(0)) * 2 + varint(0),
        varint(0),
        b"\xff" * 1000,
    ],
)
def test_hostile_metadata_of_a_container_are_refused(entries):
    with pytest.raises(ValueError, match="header is damaged or cut short"):
        open_container(b"Obj\x01" + entries + bytes(16))


def test_a_broken_container_is_refused():
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(ROWS), [{"a": 1, "rows": [], "text": "abc"}])
    whole = file.getvalue()
    changed = whole.replace(b"null", b"lzma")
    for data in (b"", b"Obj", b"hello" * 100, whole[:-1], whole[:-20], whole[:30], changed):
        with pytest.raises(ValueError, match=r"container|cut short|codec|records in"):
            _, blocks = open_container(data)
            list(blocks)

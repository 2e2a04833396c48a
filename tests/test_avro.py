"""Records read straight into arrays: as fastavro reads them, and safe on hostile bytes."""

import io
import json

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ztfrep.sources import avro
from ztfrep.sources.containers import MOST_RECORDS, open_container
from ztfrep.sources.schemas import INTEGER, NUMBER, TEXT, Field, compile_schema

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
        return {"type": "array", "items": draw(schemas(depth - 1).filter(lambda s: s != "null"))}
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


def written(schema, record):
    file = io.BytesIO()
    fastavro.schemaless_writer(file, fastavro.parse_schema(schema), record)
    return file.getvalue()


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
    with pytest.raises(ValueError, match="do not follow"):
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
        assert np.isnan(reader.alerts.numbers).all()
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
    ],
)
def test_what_is_no_schema_is_refused(schema):
    with pytest.raises(ValueError, match="no Avro schema"):
        compile_schema(schema, ())


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_container_gives_its_blocks(codec):
    file = io.BytesIO()
    records = [{"a": i, "rows": [], "text": ""} for i in range(3)]
    fastavro.writer(file, fastavro.parse_schema(ROWS), records, codec)
    schema, blocks = open_container(file.getvalue())
    program = compile_schema(schema, [Field("a")])
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


def test_a_broken_container_is_refused():
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(ROWS), [{"a": 1, "rows": [], "text": "abc"}])
    whole = file.getvalue()
    changed = whole.replace(b"null", b"lzma")
    for data in (b"", b"Obj", b"hello" * 100, whole[:-1], whole[:-20], whole[:30], changed):
        with pytest.raises(ValueError, match=r"container|cut short|codec|records in"):
            _, blocks = open_container(data)
            list(blocks)

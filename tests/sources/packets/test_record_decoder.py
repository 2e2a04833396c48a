"""Records decoded into arrays: equal to those of fastavro, and safe on hostile bytes."""

import io
import json

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.alert_packets import encode
from ztfrep.sources.packets.avro_program import UNREADABLE, text_code
from ztfrep.sources.packets.avro_schemas import INTEGER, NUMBER, TEXT, Field, compile_schema
from ztfrep.sources.packets.record_decoder import RecordDecoder, RefusedRecordError

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
    """Return whether items have bytes: those without are refused."""
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
    """The program of a schema; a field that is a name accepts any number or text."""
    wanted = [field if isinstance(field, Field) else Field(field) for field in fields]
    wanted_of_rows = [field if isinstance(field, Field) else Field(field) for field in rows]
    return compile_schema(json.dumps(schema).encode(), wanted, "rows", wanted_of_rows)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_wanted_fields_among_any_others_are_equal_to_those_of_fastavro(data):
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
    block = encode(schema, record)
    fields = ("number", "text", "last", "absent")
    program = compiled(schema, *fields, rows=("value",))
    decoder = RecordDecoder(len(fields), 1)
    assert decoder.decode(program, block, 0) == len(block)
    numbers, spans = (part[0] for part in decoder.records)
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
    np.testing.assert_array_equal(decoder.rows.numbers[: decoder.n_rows, 0], rows)


OBSERVATIONS = {
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


def test_arrays_grow_with_rows_and_records():
    program = compiled(OBSERVATIONS, rows=("v",))
    decoder = RecordDecoder(0, 1)
    for first in range(0, 30_000, 100):
        block = encode(OBSERVATIONS, {"rows": [{"v": first + i} for i in range(100)]})
        decoder.decode(program, block, 0)
    assert decoder.n_records == 300
    np.testing.assert_array_equal(decoder.rows.numbers[: decoder.n_rows, 0], np.arange(30_000))


def test_a_record_of_too_many_rows_is_refused():
    program = compiled(OBSERVATIONS, rows=("v",))
    decoder = RecordDecoder(0, 1)
    with pytest.raises(ValueError, match="far more observations"):
        decoder.decode(program, encode(OBSERVATIONS, {"rows": [{"v": 1}] * 200_000}), 0)
    assert decoder.n_rows == 0
    assert len(decoder.rows.numbers) < 50_000


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_decoded_within_bounds(data):
    block = bytearray(encode(ROWS, {"a": 5, "rows": list(range(50)), "text": "x" * 40}))
    for _ in range(data.draw(st.integers(1, 5))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(block[: data.draw(st.integers(0, len(block)))])
    program = compiled(ROWS, "a", "text")
    decoder = RecordDecoder(2, 0)
    try:
        end = decoder.decode(program, cut, 0)
    except ValueError:
        assert decoder.n_records == 0
        assert decoder.n_rows == 0
    else:
        start, size = decoder.records.spans[0, 1]
        assert 0 <= start <= start + size <= end <= len(cut)


def varint(value):
    return encode("long", value)


@pytest.mark.parametrize(
    "block",
    [
        varint(1) + varint(2**62),  # an array of more items than there are bytes
        varint(1) + varint(-(2**63)) + varint(0),  # a count whose sign cannot be inverted
        varint(1) + varint(0) + varint(2**62),  # a text that ends far outside
        varint(1) + varint(0) + varint(-5),  # a text of negative length
        b"\xff" * 30,  # a number without end
    ],
)
def test_hostile_lengths_are_refused(block):
    program = compiled(ROWS, "a")
    with pytest.raises(ValueError, match="do not follow"):
        RecordDecoder(1, 0).decode(program, block, 0)


def test_an_array_of_items_without_bytes_is_refused():
    schema = {"type": "array", "items": "null"}
    program = compiled(schema)
    with pytest.raises(ValueError, match="do not follow"):
        RecordDecoder(0, 0).decode(program, varint(20) + bytes(40), 0)


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
def test_an_invalid_schema_is_refused(schema):
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
def test_a_value_of_another_type_is_refused_or_marked_as_unreadable(stored, optional, wanted):
    kind, value = TYPES[stored]
    schema = {"type": "record", "name": "top", "fields": [
        {"name": "a", "type": ["null", kind] if optional else kind},
        {"name": "b", "type": "long"},
    ]}  # fmt: skip
    block = encode(schema, {"a": value, "b": 77})
    name = kind if isinstance(kind, str) else kind["type"]
    decoder = RecordDecoder(2, 0)
    if name in wanted.names:
        decoder.decode(compiled(schema, Field("a", wanted, required=True), "b"), block, 0)
        number, (start, size) = decoder.records.numbers[0, 0], decoder.records.spans[0, 0]
        if wanted is TEXT:
            assert block[start : start + size] == b"5"
        else:
            assert (number, size) == (5, -1)
        return
    with pytest.raises(RefusedRecordError, match=f"^a is {stored}, not {wanted.description}$"):
        decoder.decode(compiled(schema, Field("a", wanted, required=True), "b"), block, 0)
    assert decoder.n_records == 0
    # Of a field that is not required the value is marked, and what follows is read.
    decoder.decode(compiled(schema, Field("a", wanted), "b"), block, 0)
    assert np.isnan(decoder.records.numbers[0, 0])
    assert decoder.records.spans[0, 0].tolist() == [-1, UNREADABLE]
    assert decoder.records.numbers[0, 1] == 77


def test_a_union_is_refused_by_the_type_of_its_value():
    schema = {"type": "record", "name": "top", "fields": [
        {"name": "a", "type": ["null", "string", "long"]}]}  # fmt: skip
    program = compiled(schema, Field("a", INTEGER, required=True))
    decoder = RecordDecoder(1, 0)
    for value in (None, 2**62 + 1):
        decoder.decode(program, encode(schema, {"a": value}), 0)
    assert decoder.records.spans[:2, 0, 0].tolist() == [-1, 2**62 + 1]
    with pytest.raises(RefusedRecordError, match="a is a string, not a 64-bit integer"):
        decoder.decode(program, encode(schema, {"a": "7"}), 0)


def test_only_items_of_the_wanted_array_are_rows():
    inner = {"type": "record", "name": "row", "fields": [{"name": "v", "type": "long"}]}
    for kind, value in (
        (inner, {"v": 5}),
        ({"type": "map", "values": inner}, {"x": {"v": 5}}),
        ({"type": "array", "items": {"type": "array", "items": inner}}, [[{"v": 5}]]),
    ):
        schema = {"type": "record", "name": "top", "fields": [{"name": "rows", "type": kind}]}
        decoder = RecordDecoder(1, 1)
        decoder.decode(compiled(schema, "a", rows=("v",)), encode(schema, {"rows": value}), 0)
        assert np.isnan(decoder.records.numbers[0, 0])
        assert np.isnan(decoder.rows.numbers[: decoder.n_rows]).all()


@pytest.mark.parametrize(
    ("text", "same"), [("True", "true"), (" t ", "t"), ("FALSE", "false"), ("-1", "-1")]
)
def test_the_code_of_a_short_text_ignores_case_and_blanks(text, same):
    decoder = RecordDecoder(1, 0)
    schema = {"type": "record", "name": "top", "fields": [{"name": "a", "type": "string"}]}
    decoder.decode(compiled(schema, "a"), encode(schema, {"a": text}), 0)
    assert decoder.records.numbers[0, 0] == text_code(same) == text_code(text)
    assert np.isnan(text_code("a longer text"))
    assert text_code("t") != text_code("f")


def test_rows_and_steps_are_limited_per_file():
    nothing = {"type": "record", "name": "top", "fields": [
        {"name": "rows", "type": {"type": "array", "items": {
            "type": "record", "name": "row", "fields": [{"name": "v", "type": ["null", "long"]}]}}},
    ]}  # fmt: skip
    block = varint(9_000) + bytes(9_000) + varint(0)
    program = compiled(nothing, rows=("v",))
    decoder = RecordDecoder(0, 1)
    with pytest.raises(ValueError, match="far more observations"):
        for _ in range(100):
            decoder.decode(program, block, 0)
    assert decoder.n_rows == 99_000
    decoder.truncate(0, 0)
    decoder.begin_file()
    assert decoder.decode(program, block, 0) == len(block)
    # Values that are stepped over count too.
    long = {"type": "array", "items": ["null", "long"]}
    block, program = varint(5_000_000) + bytes(5_000_000) + varint(0), compiled(long)
    with pytest.raises(ValueError, match="far more observations or values"):
        for _ in range(10):
            decoder.decode(program, block, 0)

"""Avro container files: their headers and blocks, and the limits on hostile ones."""

import io

import fastavro
import pytest

from tests.alert_packets import container, encode
from ztfrep.sources.packets.avro_schemas import Field, compile_schema
from ztfrep.sources.packets.containers import MAX_RECORDS, open_container
from ztfrep.sources.packets.record_decoder import RecordDecoder

SCHEMA = {
    "type": "record",
    "name": "top",
    "fields": [
        {"name": "a", "type": "long"},
        {"name": "rows", "type": {"type": "array", "items": "long"}},
        {"name": "text", "type": "string"},
    ],
}
OTHER_SCHEMA = {"type": "record", "name": "top", "fields": [{"name": "b", "type": "long"}]}


def varint(value):
    return encode("long", value)


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_container_has_its_blocks(codec):
    file = io.BytesIO()
    records = [{"a": i, "rows": [], "text": ""} for i in range(3)]
    fastavro.writer(file, fastavro.parse_schema(SCHEMA), records, codec)
    header, blocks = open_container(file.getvalue())
    assert header.deflated == (codec == "deflate")
    program = compile_schema(header.schema, [Field("a")])
    decoder = RecordDecoder(1, 0)
    for count, block in blocks:
        end = 0
        for _ in range(count):
            end = decoder.decode(program, block, end)
        assert end == len(block)
    assert decoder.records.numbers[:3, 0].tolist() == [0, 1, 2]


def test_a_small_file_that_decompresses_to_far_more_is_refused():
    file = io.BytesIO()
    record = {"a": 1, "rows": [], "text": "x" * 100_000_000}
    fastavro.writer(file, fastavro.parse_schema(SCHEMA), [record], "deflate")
    _, blocks = open_container(file.getvalue())
    with pytest.raises(ValueError, match="too long"):
        list(blocks)


def test_a_container_of_too_many_records_is_refused_before_decoding():
    record = encode(SCHEMA, {"a": 1, "rows": [], "text": ""})
    for blocks in (
        [(MAX_RECORDS + 1, record * (MAX_RECORDS + 1))],
        [(1, record)] * (MAX_RECORDS + 1),
    ):
        with pytest.raises(ValueError, match="1001 records or more.*may have 1000; split it"):
            open_container(container(SCHEMA, *blocks, deflated=True))
    _, blocks = open_container(
        container(SCHEMA, (MAX_RECORDS, record * MAX_RECORDS), deflated=True)
    )
    assert sum(count for count, _ in blocks) == MAX_RECORDS
    with pytest.raises(ValueError, match="records"):
        open_container(container(SCHEMA, *[(0, b"")] * 10_000))


def test_a_header_is_parsed_once_for_files_that_share_it():
    first, second = (container(SCHEMA, (1, bytes([n]) * 9)) for n in (1, 2))
    other = container(OTHER_SCHEMA, (1, bytes(9)), deflated=True)
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


def test_the_bytes_of_all_blocks_are_limited():
    _, blocks = open_container(container(SCHEMA, *[(1, bytes(30_000_000))] * 3, deflated=True))
    with pytest.raises(ValueError, match="more than 64 MB of records; split the file"):
        list(blocks)


def test_a_container_with_too_long_a_schema_is_refused():
    with pytest.raises(ValueError, match="a schema of 1000005 bytes, more than 524288"):
        open_container(container(b'"int"' + b" " * 1_000_000))


def test_a_container_damaged_after_its_records_is_refused_with_the_position():
    whole = container(SCHEMA, (1, encode(SCHEMA, {"a": 1, "rows": [], "text": ""})))
    with pytest.raises(ValueError, match=rf"at byte {len(whole)} of {len(whole) + 7}, after 1 re"):
        open_container(whole + b"garbage")


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
def test_hostile_metadata_of_a_container_is_refused(entries):
    with pytest.raises(ValueError, match="header is damaged or cut short"):
        open_container(b"Obj\x01" + entries + bytes(16))


def test_a_broken_container_is_refused():
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(SCHEMA), [{"a": 1, "rows": [], "text": "abc"}])
    whole = file.getvalue()
    changed = whole.replace(b"null", b"lzma")
    for data in (b"", b"Obj", b"hello" * 100, whole[:-1], whole[:-20], whole[:30], changed):
        with pytest.raises(ValueError, match=r"container|cut short|codec|records in"):
            _, blocks = open_container(data)
            list(blocks)

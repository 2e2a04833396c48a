"""Packets that need much memory or time: each is refused with one line, within 2 s and 256 MB."""

import gzip
import json
import subprocess
import sys

from tests.alert_packets import alert, container, encode, image, packet, random_stamps, schema

SECONDS, MEGABYTES = 2, 256


def array(items):
    """A record of an array of any length."""
    return {"type": "record", "name": "a", "fields": [
        {"name": "objectId", "type": "string"},
        {"name": "candidate", "type": "null"},
        {"name": "prv_candidates", "type": {"type": "array", "items": items}},
    ]}  # fmt: skip


OBSERVATION = {
    "type": "record",
    "name": "r",
    "fields": [{"name": "jd", "type": ["null", "double"]}],
}
BYTE = {"type": "record", "name": "a", "fields": [
    {"name": "objectId", "type": ["null", "string"]},
    {"name": "candidate", "type": "null"},
]}  # fmt: skip


def items(number):
    name = encode("string", "A")
    return name + encode("long", number) + bytes(number) + encode("long", 0)


def with_stamps(raw):
    return encode(schema(), alert(stamps=[gzip.compress(raw)] * 3))


def cases():
    """Files by what they are."""
    record = encode(schema(), alert(stamps=[image(random_stamps(1)[0] * 0)] * 3))
    long, observations = array(["null", "long"]), array(OBSERVATION)
    no_end = b"SIMPLE  =                    T".ljust(80) + b"X       = 1".ljust(80) * 3000
    keys = b"".join(b"\x06" + i.to_bytes(3, "big") + b"\0" for i in range(500_000))
    return {
        "records of a byte": container(BYTE, (1 << 25, bytes(1 << 25)), deflated=True),
        "20,000 alerts": container(schema(), (20_000, record * 20), deflated=True),
        "1,000 alerts, the maximum": container(schema(), (1000, record * 1000), deflated=True),
        "blocks that unpack to 32 MB": container(
            schema(), *[(1, bytes(1 << 25))] * 3, deflated=True
        ),
        "a block that unpacks to 99 MB": container(schema(), (1, bytes(99 << 20)), deflated=True),
        "an array of 30 million": container(long, (1, items(30_000_000)), deflated=True),
        "arrays in a thousand records": container(long, *[(1, items(60_000))] * 999, deflated=True),
        "observations in a thousand records": container(
            observations, *[(1, items(9999))] * 999, deflated=True
        ),
        "a schema of brackets": container(b"[" * 16_000_000, (1, record)),
        "a short schema of brackets": container(b"[" * 500_000, (1, record)),
        "a union of 80,000": container(b"[" + b'"int",' * 80_000 + b'"int"]', (1, record)),
        "many fields": container(
            {"type": "record", "name": "a", "fields": [
                {"name": f"f{i}", "type": "int"} for i in range(14_000)]}, (1, record)
        ),
        "an enum of 40,000": container(
            {"type": "enum", "name": "a", "symbols": [f"s{i}" for i in range(40_000)]}, (1, record)
        ),
        "metadata": b"Obj\x01" + encode("long", 500_000) + keys,
        "empty blocks": container(schema(), *[(0, b"")] * 100_000),
        "headers without an end": container(
            schema(), (1000, with_stamps(no_end) * 1000), deflated=True
        ),
        "stamps that unpack to 64 MB": packet(alert(stamps=[gzip.compress(bytes(1 << 26))] * 3)),
        "a long name": packet(alert("ZTF" * 3_000_000)),
    }  # fmt: skip


PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from ztfrep.sources.packets.packet_reader import Packet, decode_packets

def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

files = [(path.name, path.read_bytes()) for path in sorted(Path(sys.argv[1]).iterdir())]
decode_packets([Packet("", files[0][1])])
for name, data in files:
    before, start = memory(), time.process_time()
    batch = decode_packets([Packet(name, data)])
    print(json.dumps({
        "name": name,
        "seconds": time.process_time() - start,
        "megabytes": memory() - before,
        "alerts": len(batch.object_id),
        "details": sorted({failure.detail for failure in batch.failures}),
    }))
"""


def test_hostile_packets_are_refused_within_time_and_memory(tmp_path):
    for name, data in cases().items():
        (tmp_path / name).write_bytes(data)
    # A file of one good alert comes first, so that what is compiled and imported is not measured.
    (tmp_path / "0").write_bytes(packet(alert()))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=True
    )
    measured = {case["name"]: case for case in map(json.loads, done.stdout.splitlines())}
    assert measured.keys() == {"0", *cases()}
    good = {"0": 1, "1,000 alerts, the maximum": 1000}
    for name, case in measured.items():
        assert case["seconds"] < SECONDS, name
        assert case["megabytes"] < MEGABYTES, name
        assert case["alerts"] == good.get(name, 0), name
        if name not in good:
            assert len(case["details"]) == 1, name
            assert len(case["details"][0]) < 200, name
            assert case["details"][0].isprintable(), name

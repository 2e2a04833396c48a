"""Alert packets made for a test: a small ZTF schema, and archives of packets."""

import gzip
import io
import json
import tarfile
import zlib

import fastavro
import numpy as np

# fmt: off
NUMBERS = [
    "jd", "diffmaglim", "magpsf", "sigmapsf", "ra", "dec", "fwhm", "classtar", "rb", "distnr",
    "magnr", "chinr", "sharpnr", "xpos", "ypos",
]
# fmt: on
CANDIDATE_FLOATS = ["sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "sgscore3", "distpsnr3"]

# The first candid, of real size: those of one exposure differ in their last digits alone, and
# float64 would round them.
CANDID = 1_572_468_143_015_015_000


def optional(kind):
    return [kind, "null"]


def schema(extra=(), types=None):
    """A writer's schema in the manner of ZTF's; `extra` fields come first in a candidate.

    `types` are other types than ZTF's, by path, such as `candidate.isdiffpos`.
    """
    types = types or {}

    def field(path, kind):
        return {"name": path.split(".")[-1], "type": types.get(path, kind)}

    def observation(where):
        return [
            *extra,
            field(f"{where}.jd", "double"),
            field(f"{where}.fid", "int"),
            field(f"{where}.candid", optional("long")),
            field(f"{where}.isdiffpos", optional("string")),
            *(field(f"{where}.{name}", optional("float")) for name in NUMBERS[1:]),
        ]

    candidate = [
        *observation("candidate"),
        *({"name": name, "type": optional("float")} for name in CANDIDATE_FLOATS),
        {"name": "ndethist", "type": "int"},
        {"name": "ncovhist", "type": "int"},
    ]
    cutout = {
        "type": "record",
        "name": "cutout",
        "fields": [
            {"name": "fileName", "type": "string"},
            {"name": "stampData", "type": optional("bytes")},
        ],
    }
    before = {"type": "record", "name": "prv", "fields": observation("prv_candidates")}
    prior = {"type": "array", "items": before}
    return {
        "type": "record",
        "name": "alert",
        "fields": [
            field("objectId", "string"),
            field("candid", "long"),
            {
                "name": "candidate",
                "type": {"type": "record", "name": "candidate", "fields": candidate},
            },
            {"name": "prv_candidates", "type": [prior, "null"]},
            {"name": "cutoutScience", "type": [cutout, "null"]},
            {"name": "cutoutTemplate", "type": ["cutout", "null"]},
            {"name": "cutoutDifference", "type": ["cutout", "null"]},
        ],
    }


def image(pixels, cards=()):
    """A gzipped FITS file of float32 pixels; `cards` precede its END."""
    height, width = pixels.shape
    header = [
        f"{'SIMPLE':8}= {'T':>20}",
        f"{'BITPIX':8}= {-32:>20}",
        f"{'NAXIS':8}= {2:>20}",
        f"{'NAXIS1':8}= {width:>20}",
        f"{'NAXIS2':8}= {height:>20}",
        *cards,
        "END",
    ]
    text = "".join(f"{card:80}" for card in header)
    text += " " * (-len(text) % 2880)
    data = pixels.astype(">f4").tobytes()
    return gzip.compress(text.encode() + data + bytes(-len(data) % 2880), mtime=0)


def observation(jd=2459000.5, candid=None, **values):
    """A detection, or an upper limit if it has no candid."""
    fields = dict.fromkeys([*NUMBERS, "isdiffpos"])
    fields |= {"jd": jd, "fid": 1, "candid": candid, "diffmaglim": 20.5}
    if candid is not None:
        fields |= dict.fromkeys(NUMBERS[2:], 1.0) | {"isdiffpos": "t", "ra": 180.0, "dec": 10.0}
    return fields | values


def alert(
    object_id="ZTF20aaaaaaa", candid=CANDID + 1, jd=2459010.5, prior=(), stamps=None, **values
):
    """An alert as fastavro writes it; `stamps` are the three cutouts' bytes."""
    if stamps is None:
        stamps = [image(pixels) for pixels in random_stamps(candid)]
    candidate = observation(jd, candid) | dict.fromkeys(CANDIDATE_FLOATS, 0.5)
    candidate |= {"ndethist": 3, "ncovhist": 10, "xpos": 1000.0, "ypos": 1000.0}
    return {
        "objectId": object_id,
        "candid": candid,
        "candidate": candidate | values,
        "prv_candidates": None if prior is None else list(prior),
    } | {
        f"cutout{channel}": None if data is None else {"fileName": "x", "stampData": data}
        for channel, data in zip(("Science", "Template", "Difference"), stamps, strict=True)
    }


def random_stamps(seed, shape=(63, 63)):
    return np.random.default_rng(abs(seed)).normal(100, 10, (3, *shape)).astype(np.float32)


def packet(*alerts, codec="null", extra=(), types=None):
    """An Avro file of alerts."""
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema(extra, types)), alerts, codec)
    return file.getvalue()


def encode(kind, value):
    """A value of an Avro type, without a container."""
    file = io.BytesIO()
    fastavro.schemaless_writer(file, fastavro.parse_schema(kind), value)
    return file.getvalue()


def container(kind, *blocks, deflated=False):
    """An Avro file of any blocks, as numbers of records and their bytes.

    `kind` is the schema, or bytes that replace it.
    """
    text = kind if isinstance(kind, bytes) else json.dumps(kind).encode()
    metadata = {"avro.schema": text, "avro.codec": b"deflate" if deflated else b"null"}
    sync = bytes(range(16))
    parts = [b"Obj\x01", encode({"type": "map", "values": "bytes"}, metadata), sync]
    for count, data in blocks:
        if deflated:
            compressor = zlib.compressobj(1, wbits=-15)
            data = compressor.compress(data) + compressor.flush()
        parts += [encode("long", count), encode("long", len(data)), data, sync]
    return b"".join(parts)


def archive(path, files):
    """A tar file of named bytes, compressed if its suffix is that of gzip."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path

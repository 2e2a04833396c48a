"""Archives of packets: every packet is read, every error and other entry is listed."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections import Counter

import pytest

from tests.alert_packets import archive
from ztfrep.sources.packets import archives
from ztfrep.sources.packets.archives import make_readers, read_files
from ztfrep.sources.packets.entries import IGNORED_MEMBER_KINDS, IgnoredEntry
from ztfrep.sources.packets.packet_reader import Failure, Packet

AVRO = b"Obj\1"
FILES = {f"{i}.avro": AVRO + bytes([i]) * 30_000 for i in range(30)}
WHOLE = list(FILES.values())
COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


class Read:
    """The items of some files; every member must be counted as read or ignored."""

    def __init__(self, *paths):
        items = list(read_files(paths))
        self.packets = [item for item in items if isinstance(item, Packet)]
        self.failures = [item for item in items if isinstance(item, Failure)]
        self.ignored = [item for item in items if isinstance(item, IgnoredEntry)]
        (self.counts,) = (item for item in items if isinstance(item, Counter))
        assert items[-1] is self.counts
        assert self.counts["files"] == len(paths)
        assert self.counts["members.seen"] == self.counts["members.read"] + len(self.ignored)
        assert {item.kind for item in self.ignored} <= set(IGNORED_MEMBER_KINDS)

    def data(self):
        return [packet.data for packet in self.packets]

    def names(self):
        return [packet.name for packet in self.packets]

    def detail(self):
        (failure,) = self.failures
        assert failure.reason == "archive"
        return failure.detail


def write(path, data):
    path.write_bytes(data)
    return path


def header(name=b"a.avro", size=0, kind=b"0", field=None):
    """The bytes of a tar header; `field` replaces its size."""
    block = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    block[:100] = name.ljust(100, b"\0")
    block[124:136] = field or b"%011o\0" % size
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name=b"a.avro", data=WHOLE[0], kind=b"0"):
    return header(name, len(data), kind) + data + bytes(-len(data) % 512)


MEMBERS = b"".join(member(name.encode(), data) for name, data in FILES.items())
ONE = len(member(b"0.avro", WHOLE[0]))
END = bytes(1024)


def zipped(files, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive_:
        for name, data in files.items():
            archive_.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    "name",
    ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tbz2", "a.tar.xz", "a.txz", "N.TAR.GZ", "A.Tar"],
)
def test_every_packet_of_an_archive_is_read_in_order(tmp_path, name):
    compress = next((p for s, p in COMPRESS.items() if s and name.lower()[-2:] in s), COMPRESS[""])
    compress = COMPRESS[".gz"] if name.lower().endswith("gz") else compress
    read = Read(write(tmp_path / name, compress(MEMBERS + END)))
    assert read.names() == [f"{name}:{member}" for member in FILES]
    assert read.data() == WHOLE
    assert read.failures == []
    assert read.counts["members.seen"] == len(FILES)


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_of_every_format_are_read(tmp_path, format_):
    names = ["n/" * 60 + "a.avro", "x" * 90 + "/" + "y" * 80 + ".avro", "é.avro"]
    if format_ != tarfile.USTAR_FORMAT:
        names.append("z" * 300 + ".avro")
    with tarfile.open(tmp_path / "a.tar", "w", format=format_) as tar:
        folder = tarfile.TarInfo("n")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(WHOLE[0])
            tar.addfile(info, io.BytesIO(WHOLE[0]))
    read = Read(tmp_path / "a.tar")
    assert read.names() == [f"a.tar:{name}" for name in names]
    assert read.failures == read.ignored == []


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_zip_of_every_method_is_read(tmp_path, method):
    files = {"n/": b"", **FILES, "n/notes.txt": b"hello"}
    read = Read(write(tmp_path / "a.zip", zipped(files, method)))
    assert read.data() == WHOLE
    assert read.names() == [f"a.zip:{member}" for member in FILES]
    assert [item.name for item in read.ignored] == ["a.zip:n/notes.txt"]


@pytest.mark.parametrize("name", ["1.avro.gz", "1.AVRO.BZ2", "1.avro.xz"])
def test_a_compressed_packet_is_read_as_a_file_and_as_a_member(tmp_path, name):
    compressed = COMPRESS[name[6:].lower()](WHOLE[1])
    assert Read(write(tmp_path / name, compressed)).packets == [Packet(name, WHOLE[1])]
    read = Read(archive(tmp_path / "a.tar", {name: compressed}))
    assert read.packets == [Packet(f"a.tar:{name}", WHOLE[1])]
    read = Read(write(tmp_path / "a.zip", zipped({name: compressed})))
    assert read.packets == [Packet(f"a.zip:{name}", WHOLE[1])]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tar.gz", MEMBERS + END),
        ("a.tar", bz2.compress(MEMBERS + END)),
        ("a.tar.gz", zipped(FILES)),
        ("a.zip", gzip.compress(MEMBERS + END)),
        # Some servers compress a compressed file once more.
        ("a.tar.gz", gzip.compress(gzip.compress(MEMBERS + END))),
        ("unnamed", MEMBERS + END),
        ("unnamed.tar.gz.1", gzip.compress(MEMBERS + END)),
        ("unnamed", zipped(FILES)),
    ],
)
def test_the_bytes_of_an_archive_decide_its_format(tmp_path, name, data):
    assert Read(write(tmp_path / name, data)).data() == WHOLE


@pytest.mark.parametrize("name", ["1.avro.1", "packet", "1.avro", "1.avro.gz"])
def test_a_packet_is_recognised_by_its_bytes(tmp_path, name):
    assert Read(write(tmp_path / name, WHOLE[1])).data() == [WHOLE[1]]


INNER = [
    ("in.tar", MEMBERS + END),
    ("in.tar.gz", gzip.compress(MEMBERS + END)),
    ("IN.TXZ", lzma.compress(MEMBERS + END)),
    ("in.zip", zipped(FILES)),
]


@pytest.mark.parametrize(("name", "inner"), INNER)
def test_an_archive_in_an_archive_is_read_and_a_deeper_one_is_ignored(tmp_path, name, inner):
    files = {"1.avro": WHOLE[1], name: inner, "2.avro": WHOLE[2]}
    outer = [archive(tmp_path / "a.tar", files), archive(tmp_path / "a.tar.gz", files)]
    outer.append(write(tmp_path / "a.zip", zipped(files)))
    for path in outer:
        read = Read(path)
        assert read.data() == [WHOLE[1], *WHOLE, WHOLE[2]]
        assert read.names()[1] == f"{path.name}:{name}:0.avro"
        assert read.counts["members.seen"] == 3 + len(FILES)
        deeper = archive(tmp_path / "deeper.tar", {"mid.tar": path.read_bytes()})
        read = Read(deeper)
        assert read.data() == [WHOLE[1], WHOLE[2]]
        assert [i.name for i in read.ignored] == [f"deeper.tar:mid.tar:{name}"]
        assert [i.kind for i in read.ignored] == ["nested"]


def test_other_members_are_ignored_with_their_kind(tmp_path):
    files = {
        "readme.txt": b"hello",
        "labels.csv.gz": gzip.compress(b"candid,class\n"),
        "._1.avro": b"\0\5\26\7 macOS",
        "__MACOSX/n/1.avro": WHOLE[1],
        "n/.DS_Store": b"",
        "n/Thumbs.db": b"",
        "old.7z": b"7z\xbc\xaf\x27\x1c",
        "old.tar.zst": b"\x28\xb5\x2f\xfd",
        "1.avro": WHOLE[1],
    }
    kinds = ["other", "other", "system", "system", "system", "system", "format", "format"]
    for path in (archive(tmp_path / "a.tar", files), write(tmp_path / "a.zip", zipped(files))):
        read = Read(path)
        assert read.data() == [WHOLE[1]]
        assert [item.kind for item in read.ignored] == kinds
        assert [item.name for item in read.ignored] == [f"{path.name}:{n}" for n in files][:-1]
        assert read.failures == []


def test_members_without_data_are_listed(tmp_path):
    links = [header(b"l.avro", kind=kind) for kind in (b"1", b"2")]
    special = [header(b"d", kind=kind) for kind in (b"3", b"4", b"6")] + [member(b"u", kind=b"Z")]
    lost = [member(b"s.avro", kind=b"S"), member(b"m.avro", kind=b"M")]
    ignored = [member(b"volume", b"", kind=b"V"), header(b"n/", kind=b"5")]
    comment = member(b"pax", b"11 comment=\n", b"g")
    data = b"".join([comment, *links, *special, *lost, *ignored, member(), END])
    read = Read(write(tmp_path / "a.tar", data))
    assert [item.kind for item in read.ignored] == ["link"] * 2 + ["special"] * 4
    assert [(f.name, f.reason) for f in read.failures] == [
        ("a.tar:s.avro", "unreadable"),
        ("a.tar:m.avro", "unreadable"),
    ]
    assert read.names() == ["a.tar:a.avro"]


@pytest.mark.parametrize(
    ("at", "value", "detail"),
    [
        (8, b"\1", "encrypted"),
        (10, b"\x63", "compression 99"),
        (16, b"1234", "checksum"),
        (24, b"\xff\xff\xff\x7f", "size or its checksum"),
        (42, b"\1\0\0\0", "no member"),
    ],
)
def test_an_unreadable_member_of_a_zip_costs_no_other_member(tmp_path, at, value, detail):
    data = bytearray(zipped(FILES))
    start = data.index(b"PK\1\2") + at
    data[start : start + len(value)] = value
    read = Read(write(tmp_path / "a.zip", data))
    assert [(f.name, f.reason) for f in read.failures] == [("a.zip:0.avro", "unreadable")]
    assert detail in read.failures[0].detail
    assert read.data() == WHOLE[1:]


@pytest.mark.parametrize("name", [b"caf\xe9.avro", b"\xff\x1b[31m\n.avro", b"../../etc/x.avro"])
def test_a_name_that_is_not_text_is_escaped(tmp_path, name):
    read = Read(write(tmp_path / "a.tar", member(name) + END))
    assert read.names()[0].encode().startswith(b"a.tar:")
    pax = b" path=" + name + b"\n"
    pax = b"%d" % (len(pax) + 2) + pax
    read = Read(write(tmp_path / "a.tar", member(b"pax", pax, b"x") + member(b"b.avro") + END))
    assert read.data() == [WHOLE[0]]
    assert "b.avro" not in read.names()[0]
    assert read.names()[0].encode()


def half(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("name", "damage", "least"),
    [
        ("a.tar.gz", half, 10),
        ("a.tar", half, 14),
        ("a.tar.gz", lambda data: data[:-4], 28),  # without the end of gzip's checksum
        ("a.tar.gz", lambda data: data[:-8] + bytes(8), 28),  # a wrong checksum
        ("a.tar", lambda data: data[: 30 * ONE], 30),  # without tar's end
        ("a.tar", lambda data: data[: 29 * ONE + 300], 29),  # within a header
        ("a.tar.gz", lambda data: data + b"rest", 28),
        (("a.tar.gz", lambda data: b"", 0)),
        ("a.tar.gz", lambda data: b"<html>" * 500, 0),
        ("a.tar.gz", lambda data: b"\x1f\x8b", 0),
        ("a.zip", lambda data: half(zipped(FILES)), 0),
        ("a.zip", lambda data: bytes(10_000), 0),
    ],
)
def test_a_broken_archive_is_one_failure_after_its_readable_packets(tmp_path, name, damage, least):
    path = archive(tmp_path / name, FILES)
    path.write_bytes(damage(path.read_bytes()))
    read = Read(path)
    assert [(f.name, f.reason) for f in read.failures] == [(name, "archive")]
    assert len(read.packets) >= least
    assert read.data() == WHOLE[: len(read.packets)]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_truncated_archive_is_described_with_the_position(tmp_path, suffix):
    data = COMPRESS[suffix](
        b"".join(member(b"%d.avro" % i, AVRO + bytes(9)) for i in range(90)) + END
    )
    cut = len(data) * 6 // 10
    read = Read(write(tmp_path / f"a.tar{suffix}", data[:cut]))
    position = f"broken at byte {cut}: cut short" if suffix else "broken at byte "
    assert read.detail().startswith(position)
    counts = f"{len(read.packets)} alerts before it were read, 0 after it"
    assert read.detail().endswith(counts)


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (b"<html><title>404 Not Found</title></html>", "an HTML page titled '404 Not Found'"),
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x28\xb5\x2f\xfd....", "a zstd file"),
    ],
)
@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar", "a.zip"])
def test_a_file_that_is_no_archive_is_described(tmp_path, name, data, description):
    assert description in Read(write(tmp_path / name, data)).detail()
    read = Read(archive(tmp_path / "b.tar", {name: data, "1.avro": WHOLE[1]}))
    assert description in read.detail()
    assert read.data() == [WHOLE[1]]


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
@pytest.mark.parametrize("padding", [1024, 10_240])
def test_concatenated_archives_are_read_to_the_end(tmp_path, suffix, padding):
    first, second = MEMBERS[: 20 * ONE], MEMBERS[20 * ONE :]
    data = first + bytes(padding) + second + END
    read = Read(write(tmp_path / f"a.tar{suffix}", COMPRESS[suffix](data)))
    assert read.data() == WHOLE
    assert read.failures == []


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
@pytest.mark.parametrize(
    ("damage", "lost", "offset"),
    [
        # Zeros over a header, over a page of it, and over three members and their headers.
        (lambda data, at: data[:at] + bytes(512) + data[at + 512 :], 1, 0),
        (lambda data, at: data[:at] + bytes(4096) + data[at + 4096 :], 1, 4096),
        (lambda data, at: data[:at] + bytes(3 * ONE) + data[at + 3 * ONE :], 3, 0),
        # A flipped bit in a header, and a size that is too small, or far too large.
        (lambda data, at: data[:at] + b"\xff" + data[at + 1 :], 1, 0),
        (lambda data, at: data[:at] + header(b"x", kind=b"5") + data[at + 512 :], 1, 512),
        (lambda data, at: data[:at] + header(size=10**9) + data[at + 512 :], 1, 0),
    ],
)
def test_members_after_an_error_are_read(tmp_path, suffix, damage, lost, offset):
    at = 10 * ONE
    data = damage(MEMBERS + END, at)
    read = Read(write(tmp_path / f"a.tar{suffix}", COMPRESS[suffix](data)))
    assert read.data() == WHOLE[:10] + WHOLE[10 + lost :]
    assert f"byte {at + offset}" in read.detail()
    assert f"10 alerts before it were read, {20 - lost} after it" in read.detail()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bytes_after_the_end_are_an_error_with_their_position(tmp_path, suffix):
    data = MEMBERS + END
    read = Read(write(tmp_path / f"a.tar{suffix}", COMPRESS[suffix](data + b"rest" * 1000)))
    assert read.data() == WHOLE
    assert f"byte {len(data)}" in read.detail()


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_bytes_after_compressed_data_are_an_error_unless_they_are_zeros(tmp_path, suffix):
    data = COMPRESS[suffix](MEMBERS + END)
    read = Read(write(tmp_path / "a.tar.gz", data + bytes(5000)))
    assert read.failures == []
    read = Read(write(tmp_path / "a.tar.gz", data + bytes(50) + b"rest"))
    assert read.data() == WHOLE
    assert f"byte {len(data) + 50}: what follows" in read.detail()


def test_a_broken_archive_costs_no_other_archive(tmp_path):
    first = archive(tmp_path / "a.tar.gz", FILES)
    first.write_bytes(half(first.read_bytes()))
    second = archive(tmp_path / "b.tar.gz", FILES)
    read = Read(first, second)
    assert len(read.failures) == 1
    assert sum(p.name.startswith("b.tar.gz") for p in read.packets) == len(FILES)


def test_a_broken_archive_in_an_archive_costs_no_other_member(tmp_path):
    inner = half(gzip.compress(MEMBERS + END, mtime=0))
    read = Read(archive(tmp_path / "a.tar", {"in.tar.gz": inner, "1.avro": WHOLE[1]}))
    assert [f.name for f in read.failures] == ["a.tar:in.tar.gz"]
    assert read.data()[-1] == WHOLE[1]
    broken = gzip.compress(WHOLE[0])[:-9]
    read = Read(archive(tmp_path / "a.tar", {"0.avro.gz": broken, "1.avro": WHOLE[1]}))
    assert [(f.name, f.reason) for f in read.failures] == [("a.tar:0.avro.gz", "unreadable")]
    assert read.data() == [WHOLE[1]]


def test_any_exception_is_the_failure_of_its_archive_except_a_memory_error(tmp_path, monkeypatch):
    class OddError(Exception):
        pass

    def raising(error):
        def read_tar(*_):
            raise error
            yield

        return read_tar

    paths = [archive(tmp_path / "a.tar", FILES), write(tmp_path / "b.avro", WHOLE[1])]
    monkeypatch.setattr(archives, "read_tar", raising(OddError("x" * 1000)))
    read = Read(*paths)
    assert "OddError: xxx" in read.detail()
    assert len(read.detail()) < 200
    assert read.data() == [WHOLE[1]]
    monkeypatch.setattr(archives, "read_tar", raising(MemoryError()))
    with pytest.raises(MemoryError):
        Read(*paths)


def test_a_missing_file_is_a_failure(tmp_path):
    read = Read(tmp_path / "a.tar", tmp_path / "b.avro", write(tmp_path / "c.avro", WHOLE[1]))
    assert [f.reason for f in read.failures] == ["archive", "unreadable"]
    assert read.data() == [WHOLE[1]]


def test_a_file_too_large_for_a_packet_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_PACKET_BYTES", 40_000)
    files = {"big.avro": bytes(50_000), "big.avro.gz": gzip.compress(bytes(50_000)), "1.avro": AVRO}
    path = archive(tmp_path / "a.tar.gz", files)
    read = Read(path, write(tmp_path / "big.avro", bytes(50_000)))
    assert read.packets == [Packet("a.tar.gz:1.avro", AVRO)]
    assert [(f.name, f.reason) for f in read.failures] == [
        ("a.tar.gz:big.avro", "too_large"),
        ("a.tar.gz:big.avro.gz", "too_large"),
        ("big.avro", "too_large"),
    ]


def test_an_archive_of_several_gzip_members_is_read_completely(tmp_path):
    data = MEMBERS + END
    compressed = gzip.compress(data[:100_000]) + gzip.compress(data[100_000:])
    read = Read(write(tmp_path / "a.tar.gz", compressed))
    assert read.data() == WHOLE
    assert read.failures == []


def test_a_checksum_far_after_the_last_packet_is_validated(tmp_path):
    compressed = gzip.compress(MEMBERS + bytes(2_000_000))[:-8] + bytes(8)
    read = Read(write(tmp_path / "a.tar.gz", compressed))
    assert read.data() == WHOLE
    assert [f.reason for f in read.failures] == ["archive"]


def test_every_archive_has_its_own_reader(tmp_path):
    names = ["1.avro", "A.TAR.GZ", "2.avro.gz", "b.zip", "c.txz", "unnamed"]
    parts = [reader.args[0] for reader in make_readers([tmp_path / name for name in names])]
    assert [[path.name for path in part] for part in parts] == [
        *(["A.TAR.GZ"], ["b.zip"], ["c.txz"]),
        ["1.avro", "2.avro.gz", "unnamed"],
    ]


def pax_record(key, value):
    record = b" " + key + b"=" + value + b"\n"
    return b"%d" % (len(record) + len(b"%d" % (len(record) + 7))) + record


def in_binary(number):
    return b"\x80" + number.to_bytes(11, "big")


HOSTILE = {
    "claims 1 TB": header(field=in_binary(10**12)) + bytes(1024),
    "claims 2^87 bytes": header(field=in_binary(2**87)) + bytes(1024),
    "claims 1 PB of what is no packet": header(b"x.txt", field=in_binary(2**50)) + bytes(1024),
    "negative size": header(field=b"\xff" * 12) + bytes(1024),
    "a size of a million digits": member(b"p", pax_record(b"size", b"9" * 10**6), b"x") + member(),
    "a size of 20 digits": member(b"p", pax_record(b"size", b"9" * 20), b"x") + member(),
    "a long name of 2 GB": header(b"././@LongLink", 2**31, b"L") + bytes(2**21),
    "extended headers of 2 GB": header(b"p", 2**31, b"x") + bytes(2**21),
    "a chain of headers": member(b"././@LongLink", b"n" * 5000, b"L") * 300,
    "extended header without records": member(b"p", b"junk", b"x"),
    "a record beyond its header": member(b"p", b"99 path=x\n", b"x"),
    "a sparse map without end": header(b"s.avro", kind=b"S")[:482] + b"\1" + bytes(29),
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("case", HOSTILE)
def test_false_headers_are_errors_and_cost_no_other_member(tmp_path, case, suffix):
    data = member(b"0.avro") + HOSTILE[case] + member(b"1.avro", WHOLE[1]) * 2 + END
    read = Read(write(tmp_path / f"a.tar{suffix}", COMPRESS[suffix](data)))
    assert len(read.detail()) < 300
    assert read.names()[0] == f"a.tar{suffix}:0.avro"
    assert WHOLE[1] in read.data()


def test_300_long_names_before_a_member_are_accepted(tmp_path):
    names = b"".join(member(b"././@LongLink", b"n%d.avro\0" % i, b"L") for i in range(300))
    read = Read(write(tmp_path / "a.tar", names + member() + END))
    assert read.names() == ["a.tar:n299.avro"]


@pytest.mark.parametrize("one", [header(), header(b"n/", kind=b"5"), header(b"x.txt")])
def test_the_number_of_empty_members_is_limited(tmp_path, one, monkeypatch):
    monkeypatch.setattr("ztfrep.sources.packets.streams._FREE_MEMBERS", 100)
    read = Read(write(tmp_path / "a.tar.gz", gzip.compress(one * 200 + MEMBERS + END)))
    assert "headers of members, for 0 bytes" in read.detail()
    # An archive may have any number of packets.
    monkeypatch.setattr("ztfrep.sources.packets.streams._FREE_MEMBERS", 3)
    assert Read(write(tmp_path / "a.tar.gz", gzip.compress(MEMBERS + END))).failures == []


ZEROS = bytes(4_000_000)
LARGE = header(b"x.txt", len(ZEROS)) + ZEROS


@pytest.mark.parametrize(
    ("name", "data", "description"),
    [
        ("a.tar.gz", gzip.compress(LARGE), "claims 4000000 bytes"),
        ("a.tar.xz", lzma.compress(LARGE), "claims 4000000 bytes"),
        ("a.tar.bz2", bz2.compress(LARGE), "claims 4000000 bytes"),
        ("a.tar.xz", lzma.compress(MEMBERS + ZEROS), "unpack to over"),
        ("a.zip", zipped({f"{i}.avro": ZEROS for i in range(3)}), "unpack to over"),
        (
            "a.tar",
            b"".join(member(b"%d.avro.gz" % i, gzip.compress(ZEROS)) for i in range(9)),
            "unpack to over",
        ),
        ("b.tar", member(b"b.tar.bz2", bz2.compress(LARGE + ZEROS)) * 9, "unpack to over"),
    ],
)
def test_decompressed_bytes_are_limited_by_the_file_size(
    tmp_path, monkeypatch, name, data, description
):
    monkeypatch.setattr("ztfrep.sources.packets.streams._FREE_BYTES", 1_000_000)
    read = Read(write(tmp_path / name, data))
    assert description in read.failures[-1].detail
    assert read.failures[-1].name == name


def test_a_compression_dictionary_of_gigabytes_is_refused(tmp_path):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(MEMBERS + END, filters=filters, check=lzma.CHECK_NONE))
    # The header of the block follows that of the stream: size, flags, filter, properties.
    assert data[14:16] == b"\x21\x01"
    data[16] = 40
    data[20:24] = struct.pack("<I", __import__("zlib").crc32(bytes(data[12:20])))
    read = Read(write(tmp_path / "a.tar.xz", data))
    assert "Memory usage limit" in read.detail()


def test_a_zip_whose_members_overlap_is_broken(tmp_path):
    data = zipped(FILES, zipfile.ZIP_STORED)
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    directory = data[start:end] * 2
    tail = struct.pack("<4HIIH", 0, 0, 60, 60, len(directory), start, 0)
    read = Read(write(tmp_path / "a.zip", data[:start] + directory + b"PK\5\6" + tail))
    assert "overlap" in read.detail()


def test_a_zip_that_claims_a_directory_of_gigabytes_is_broken(tmp_path):
    data = zipped(FILES)
    tail = struct.pack("<4HIIH", 0, 0, 30, 30, 2**31, 0, 0)
    assert Read(write(tmp_path / "a.zip", data[:-18] + tail)).detail()
    end = len(data) - 22
    zip64 = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2**63, 2**63, 2**62, 2**61)
    zip64 += b"PK\6\7" + struct.pack("<IQI", 0, end, 1)
    tail = b"PK\5\6" + struct.pack("<4HIIH", *[0xFFFF] * 4, 2**32 - 1, 2**32 - 1, 0)
    assert Read(write(tmp_path / "a.zip", data[:end] + zip64 + tail)).detail()

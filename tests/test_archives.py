"""Archives of packets: every packet read in place, every break told."""

import gzip

import pytest

from tests.alert_packets import archive
from ztfrep.errors import InputError
from ztfrep.sources import archives
from ztfrep.sources.archives import read_files
from ztfrep.sources.folders import find_files
from ztfrep.sources.packets import Failure, Packet

FILES = {f"{i}.avro": bytes([i]) * 30_000 for i in range(30)}


def read(*paths):
    found = list(read_files(paths))
    packets = [item for item in found if isinstance(item, Packet)]
    return packets, [item for item in found if isinstance(item, Failure)]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
def test_every_packet_of_an_archive_is_read_in_order(tmp_path, name):
    path = archive(tmp_path / name, {"readme.txt": b"hello", **FILES})
    packets, failures = read(path)
    assert [p.name for p in packets] == [f"{name}:{member}" for member in FILES]
    assert [p.data for p in packets] == list(FILES.values())
    assert failures == []


def test_a_folder_is_searched_with_its_folders_by_name(tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "b.avro").write_bytes(b"b")
    archive(tmp_path / "a.tar.gz", {})
    (tmp_path / "labels.csv").write_text("candid,class\n")
    assert [path.name for path in find_files(tmp_path).packets] == ["a.tar.gz", "b.avro"]
    assert read(*find_files(tmp_path).packets)[0] == [Packet("b.avro", b"b")]
    assert find_files(tmp_path / "a.tar.gz").packets == [tmp_path / "a.tar.gz"]


def test_a_folder_without_packets_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(InputError, match=r"1 files, no alert packets.*tar.gz"):
        find_files(tmp_path)


def half(data):
    return data[: len(data) // 2]


def flipped(data):
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("name", "damage", "least"),
    [
        ("a.tar.gz", half, 10),
        ("a.tar", half, 14),
        ("a.tar.gz", lambda data: data[:-4], 28),  # without the end of gzip's sum
        ("a.tar.gz", lambda data: data[:-8] + bytes(8), 28),  # a wrong sum
        ("a.tar", lambda data: data[:30720] + flipped(data[30720:31232]) + data[31232:], 1),
        ("a.tar", lambda data: data[: 30 * 30_720], 30),  # without tar's end
        ("a.tar.gz", lambda data: data + b"rest", 28),
        ("a.tar.gz", lambda data: b"", 0),
        ("a.tar.gz", lambda data: b"<html>" * 500, 0),
    ],
)
def test_a_broken_archive_is_one_failure_behind_what_could_be_read(tmp_path, name, damage, least):
    path = archive(tmp_path / name, FILES)
    path.write_bytes(damage(path.read_bytes()))
    packets, failures = read(path)
    assert [(f.name, f.reason) for f in failures] == [(name, "archive")]
    assert len(packets) >= least
    whole = list(FILES.values())
    assert [p.data for p in packets] == whole[: len(packets)]


def test_one_broken_archive_costs_no_other(tmp_path):
    first = archive(tmp_path / "a.tar.gz", FILES)
    first.write_bytes(half(first.read_bytes()))
    second = archive(tmp_path / "b.tar.gz", FILES)
    packets, failures = read(first, second)
    assert len(failures) == 1
    assert sum(p.name.startswith("b.tar.gz") for p in packets) == len(FILES)


def test_what_is_too_large_for_a_packet_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_PACKET", 40_000)
    path = archive(tmp_path / "a.tar.gz", {"big.avro": bytes(50_000), "1.avro": b"x"})
    (tmp_path / "big.avro").write_bytes(bytes(50_000))
    packets, failures = read(path, tmp_path / "big.avro")
    assert packets == [Packet("a.tar.gz:1.avro", b"x")]
    assert [(f.name, f.reason) for f in failures] == [
        ("a.tar.gz:big.avro", "too_large"),
        ("big.avro", "too_large"),
    ]


def test_an_archive_of_several_gzip_members_is_whole(tmp_path):
    path = archive(tmp_path / "a.tar", FILES)
    data = path.read_bytes()
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress(data[:100_000]) + gzip.compress(data[100_000:]))
    packets, failures = read(packed)
    assert len(packets) == len(FILES)
    assert failures == []


def test_a_sum_far_behind_the_last_packet_is_checked_too(tmp_path):
    tar = archive(tmp_path / "a.tar", FILES).read_bytes() + bytes(2_000_000)
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress(tar)[:-8] + bytes(8))
    packets, failures = read(packed)
    assert len(packets) == len(FILES)
    assert [f.reason for f in failures] == ["archive"]

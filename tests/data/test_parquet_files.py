"""Parquet files that claim more than they hold, are cut, changed, or none; and what is no fault."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.test_wrong_tables import save, written
from ztfrep.data import alert_table, checksums, parquet_layout
from ztfrep.data.alert_checks import RowChecks
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.checksums import Checksum
from ztfrep.errors import InputError


def varint(value):
    value <<= 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def with_footer(content, change):
    """Put another footer behind the same data."""
    length = int.from_bytes(content[-8:-4], "little")
    footer = change(content[-8 - length : -8])
    return content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def everywhere(old, new, times=-1):
    def change(footer):
        assert old in footer
        return footer.replace(old, new, times)

    return change


# The rows of the table, as a footer has them: a field of 64 bits, and its value.
TWELVE = b"\x16" + varint(12)
# One list of a footer after the version: the elements of the schema.
SCHEMA = b"\x15\x04\x19\xfc"


def page_claims(content, size):
    """Let the first page header claim `size` bytes, decompressed."""
    assert content[4:6] == b"\x15\x04"
    end = next(at for at in range(7, 20) if content[at] < 128) + 1
    return content[:6] + b"\x15" + varint(size) + content[end:]


HOSTILE = [
    ("empty", lambda c: b"", "an empty file"),
    ("a mark alone", lambda c: b"PAR1", "without its end"),
    ("two marks", lambda c: b"PAR1PAR1", "without its end"),
    ("marks and no footer", lambda c: b"PAR1" + bytes(4) + b"PAR1", "a footer of 0 bytes"),
    ("text", lambda c: b"object_id,candid\n" * 100, "text that begins 'object_id"),
    ("a page", lambda c: b"<!doctype html><title>Sign in</title>", "an HTML page"),
    ("gzip", lambda c: b"\x1f\x8b" + c, "a gzip file"),
    ("an array", lambda c: b"\x93NUMPY" + c, "a numpy array"),
    ("zeros", lambda c: bytes(1000), "zeros"),
    ("encrypted", lambda c: b"PARE" + c[4:-4] + b"PARE", "an encrypted Parquet file"),
    ("encrypted footer", lambda c: c[:-4] + b"PARE", "an encrypted Parquet file"),
    ("half", lambda c: c[: len(c) // 2], "without its end"),
    ("without its last byte", lambda c: c[:-1], "without its end"),
    ("more behind the end", lambda c: c + b"\0", "without its end"),
    ("the middle gone", lambda c: c[:3000] + c[5000:], "found"),
    ("footer beyond the start", lambda c: c[:-8] + b"\xff\xff\xff\x7fPAR1",
     "a footer of 2147483647 bytes"),
    ("footer as long as the file", lambda c: c[:-8] + (len(c) - 12).to_bytes(4, "little") + b"PAR1",
     "a damaged footer"),
    ("footer of zeros", lambda c: with_footer(c, lambda f: bytes(len(f))), "a damaged footer"),
    ("footer of ones", lambda c: with_footer(c, lambda f: b"\xff" * len(f)), "a damaged footer"),
    ("a billion rows", lambda c: with_footer(c, everywhere(TWELVE, b"\x16" + varint(10**9))),
     "1000000000 rows in"),
    ("a row too many", lambda c: with_footer(c, everywhere(TWELVE, b"\x16" + varint(13), 1)),
     "13 rows, and 12 in its row groups"),
    ("a million fields", lambda c: with_footer(c, everywhere(SCHEMA, SCHEMA + b"\xc0\x84\x3d", 1)),
     "a damaged footer"),
    ("a name of 2 GB",
     lambda c: with_footer(c, everywhere(b"\x18\x06schema", b"\x18\xff\xff\xff\xff\x07s")),
     "a damaged footer"),
    ("a page of 2 GB", lambda c: page_claims(c, 2**31 - 1), "a page of 2147483647 bytes in column"),
    ("a page of -5 bytes", lambda c: c[:6] + b"\x15\x09" + c[8:], "found"),
    ("data of zeros", lambda c: with_data(c, bytes), "no page header|a page of"),
    ("data of ones", lambda c: with_data(c, lambda n: b"\xff" * n), "no page header"),
    ("data of noise", lambda c: with_data(c, np.random.default_rng(0).bytes), "found"),
]  # fmt: skip


def with_data(content, make):
    length = int.from_bytes(content[-8:-4], "little")
    return b"PAR1" + make(len(content) - length - 12) + content[-8 - length :]


@pytest.mark.parametrize(
    ("change", "message"),
    [case[1:] for case in HOSTILE],
    ids=[case[0].replace(" ", "_") for case in HOSTILE],
)
def test_a_file_with_false_claims_is_refused(tmp_path, change, message):
    path = tmp_path / "wrong.parquet"
    path.write_bytes(change(written(tmp_path / "t.parquet").read_bytes()))
    with pytest.raises(InputError, match=message) as error:
        AlertTable(path)
    assert "\n" not in str(error.value)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        AlertTable(tmp_path)


OPTIONS = [
    {"compression": "snappy"},
    {"compression": "zstd"},
    {"compression": "gzip"},
    {"compression": "brotli"},
    {"compression": "none"},
    {"use_dictionary": False},
    {"data_page_version": "2.0"},
    {"row_group_size": 1},
    {"row_group_size": 5, "data_page_size": 100},
    {"write_page_checksum": True},
    {"write_page_index": True},
    {"write_statistics": False},
    {"use_byte_stream_split": ["stamps.list.element"], "use_dictionary": ["split"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("stamp_location", ["inline", "by_candid"])
def test_a_valid_table_of_another_program_is_read(tmp_path, options, stamp_location):
    original = AlertTable(written(tmp_path / "original.parquet", stamp_location=stamp_location))
    rewritten = AlertTable(
        save(pq.read_table(original.path), tmp_path / "rewritten.parquet", **options)
    )
    assert checksums.verify(rewritten.path) is Checksum.ABSENT
    assert contents(rewritten) == contents(original)


def contents(table):
    stamps = b""
    if table.info.stamp_location == "inline":
        stamps = b"".join(part.tobytes() for part in table.stamps(5))
    return (
        table.info,
        table.identity().to_dict("list").__repr__(),
        table.features().tobytes(),
        stamps,
    )


def test_a_table_of_ours_is_not_decoded_on_opening_and_others_are(tmp_path, monkeypatch):
    path = written(tmp_path / "t.parquet")
    table = pq.read_table(path)
    # All of the metadata, the checksum with it.
    entries = pq.read_metadata(path).metadata
    assert checksums.KEY.encode() in entries
    copy = save(table.replace_schema_metadata(entries), tmp_path / "copy.parquet")
    assert checksums.verify(path) is Checksum.VALID
    assert checksums.verify(copy) is Checksum.ABSENT

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(RowChecks, "check_rows", refuse)
    assert AlertTable(path).rows == 12
    with pytest.raises(AssertionError):
        AlertTable(copy)


def test_the_same_rows_are_the_same_bytes(tmp_path):
    first, second = (written(tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_any_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    path = written(tmp_path / "t.parquet")
    whole = path.read_bytes()
    right = contents(AlertTable(path))
    flipped = tmp_path / "flipped.parquet"
    rng = np.random.default_rng(3)
    length = int.from_bytes(whole[-8:-4], "little")
    # The footer is small beside the pixels, and more depends on it.
    offsets = [
        *rng.integers(0, len(whole), 150),
        *rng.integers(len(whole) - length - 8, len(whole), 150),
    ]
    offsets += range(len(whole) - 12, len(whole))
    passed = 0
    for offset in offsets:
        changed = bytearray(whole)
        changed[offset] ^= 1 << int(rng.integers(8))
        flipped.write_bytes(changed)
        try:
            assert contents(AlertTable(flipped)) == right, f"byte {offset}"
            passed += 1
        except InputError as error:
            assert "\n" not in str(error)
    # The digits of the checksum itself.
    assert passed < 10


def test_a_flipped_bit_in_another_programs_page_is_refused_by_its_checksum(tmp_path):
    path = tmp_path / "t.parquet"
    save(pq.read_table(written(path)), path, write_page_checksum=True, compression="none",
         use_dictionary=False)  # fmt: skip
    column = pq.read_metadata(path).row_group(0).column(9)
    assert column.path_in_schema.startswith("stamps")
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="CRC|checksum"):
        AlertTable(path)


def test_pixels_compressed_to_few_bytes_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_layout, "ALWAYS_ALLOWED", 1 << 20)
    table = pq.read_table(written(tmp_path / "t.parquet"))
    kind = pa.fixed_shape_tensor(pa.float32(), [3, 400, 400])
    size = 3 * 400 * 400
    equal = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(12 * size, np.float32)), size)
    # One stamp among null rows, which take as much memory.
    single = pa.FixedSizeListArray.from_arrays(
        equal.values, size, mask=pa.array([row > 0 for row in range(12)])
    )
    for storage in (equal, single):
        stamps = pa.ExtensionArray.from_storage(kind, storage)
        present = pa.array(storage.is_valid().to_pylist())
        changed = table.set_column(9, table.schema.field("stamps").with_type(kind), stamps)
        changed = changed.set_column(8, table.schema.field("has_stamps"), present)
        path = save(changed, tmp_path / "wrong.parquet")
        assert path.stat().st_size < 50_000
        with pytest.raises(InputError, match="bytes that expand to"):
            AlertTable(path)


def test_a_page_that_expands_to_much_is_not_decompressed(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_layout, "MAX_PAGE_BYTES", 20_000)
    table = pq.read_table(written(tmp_path / "t.parquet"))
    path = save(table, tmp_path / "wrong.parquet", use_dictionary=False, compression="zstd")
    with pytest.raises(InputError, match=r"a page of \d+ bytes in column 'stamps"):
        AlertTable(path)


def test_batches_of_large_stamps_have_few_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(alert_table, "_BATCH_BYTES", 4 * 4 * 3 * 21 * 21)
    path = written(tmp_path / "t.parquet")
    assert [len(part) for part in AlertTable(path).stamps(1000)] == [4, 3, 4]
    assert AlertTable(save(pq.read_table(path), path)).rows == 12


PROGRAM = """
import resource, sys, time
from ztfrep.data.alert_checks import RowChecks
from ztfrep.data.alert_table import AlertTable
from ztfrep.errors import InputError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
for path in sys.argv[1:]:
    try:
        AlertTable(path)
        raise SystemExit(f"{path} passed")
    except InputError:
        pass
print(time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_hostile_files_are_refused_with_little_time_and_memory(tmp_path):
    content = written(tmp_path / "t.parquet").read_bytes()
    paths = []
    for number, (_, change, _) in enumerate(HOSTILE):
        paths.append(tmp_path / f"{number}.parquet")
        paths[-1].write_bytes(change(content))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, paths)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    seconds, kilobytes = map(float, done.stdout.split())
    assert seconds < 2
    assert kilobytes < 256 * 1024

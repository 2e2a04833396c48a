"""What a file is, from its first bytes."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import quote


def made(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def tar(file):
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("a")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))


def zipped(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"x")


DRIVE = "<!DOCTYPE html><html><head><title>Google Drive - {}</title>"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "an empty file"),
        (gzip.compress(b"x", mtime=0), "a gzip file"),
        (bz2.compress(b"x"), "a bzip2 file"),
        (lzma.compress(b"x"), "an xz file"),
        (made(zipped), "a zip archive"),
        (made(tar), "a tar archive"),
        (made(lambda file: np.save(file, np.zeros(3))), "a numpy array"),
        (pickle.dumps({}, 3), "a pickle of protocol 3"),
        (save({"a": np.zeros(2)}), "a safetensors file"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"Obj\x01\x04", "an Avro file"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (DRIVE.format("Quota exceeded").encode(), "Drive refused the download, its download quota"),
        (DRIVE.format("Virus scan warning").encode(), "Drive refused.*virus scan"),
        (b'<html><a href="https://accounts.google.com/ServiceLogin">', "Drive refused.*to sign in"),
        (DRIVE.format("Oh").encode(), "an HTML page: Google Drive refused the download$"),
        (b"\n<html><title>404 Not Found</title></html>", "an HTML page titled '404 Not Found'"),
        (b'{"a": 1}', "JSON text that begins"),
        (b"candid,class\n1,SN\n", r"text that begins 'candid,class\\n1,SN\\n'"),
        (bytes(600), "zeros"),
        (b"\x01\x02\x03", "a file that begins with the bytes 01 02 03"),
    ],
)
def test_a_file_is_described_by_its_first_bytes(data, expected):
    import re

    assert re.search(expected, describe(data[:HEAD_BYTES]))


@given(st.binary(max_size=300))
def test_a_description_is_one_short_printable_line(data):
    description = describe(data)
    assert description.isprintable()
    assert 0 < len(description) < 160


def test_a_quotation_is_cut_and_escaped():
    assert quote("a\x1b[31m") == r"'a\x1b[31m'"
    assert quote("x" * 1000, 10) == "'xxxxxxx...'"
    assert quote(b"\xff" * 5) == "'�����'"

"""Descriptions of files by their first bytes, for messages about an unexpected file."""

import re
import string

from ztfrep.errors import quote

# Number of first bytes that `describe` uses.
HEAD_BYTES = 4096

# First bytes, and the description of a file that begins with them.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x93NUMPY", "a numpy array"),
    (b"PAR1", "a Parquet file"),
    (b"Obj\x01", "an Avro file"),
    (b"SIMPLE  =", "a FITS image"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x00\x05\x16\x07", "an AppleDouble file, which macOS leaves beside others"),
    (b"version https://git-lfs", "a Git LFS pointer, in place of the file; run git lfs pull"),
    (b"../../.git/annex", "a git-annex pointer, in place of the file; run git annex get"),
    (b"/annex/objects/", "a git-annex pointer, in place of the file; run git annex get"),
)

# Pages that Google Drive sends in place of a file: a pattern of the page, and the reason.
_DRIVE_PAGES: tuple[tuple[bytes, str], ...] = (
    (b"quota exceeded|too many users", "its download quota is used up"),
    (b"virus", "it asks to confirm a file that is too large for its virus scan"),
    (b"sign.?in|servicelogin|accounts\\.google\\.com", "it asks to sign in"),
    (b"need (access|permission)|access denied", "it asks for permission"),
)


def describe(head: bytes) -> str:
    """Return a description of a file by its first `HEAD_BYTES` bytes, or all of a shorter file.

    It has at most some 120 characters, all printable.
    """
    if not head:
        return "an empty file"
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    # A length in 8 bytes, then JSON. Tested before pickles: the length may have their first bytes.
    if head[4:8] == bytes(4) and head[8:10] == b'{"':
        return "a safetensors file"
    # The second byte of a pickle of protocol 2 and later is the number of the protocol.
    if head[0] == 0x80 and len(head) > 1 and 2 <= head[1] <= 5:
        return f"a pickle of protocol {head[1]}"
    if head[257:262] == b"ustar":
        return "a tar archive"
    text = head[:HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if re.match(rb"<(!doctype html|html|head|body|\?xml[^>]*>\s*<!doctype html)", text, re.I):
        return _describe_page(text)
    if not head.strip(b"\0"):
        return "zeros"
    if text and all(chr(byte) in string.printable for byte in text):
        if text[:1] in b"{[":
            return f"JSON text that begins {quote(text)}"
        return f"text that begins {quote(text)}"
    return f"a file that begins with the bytes {head[:8].hex(' ')}"


def _describe_page(page: bytes) -> str:
    title = re.search(rb"<title[^>]*>([^<]{1,200})", page, re.I)
    if re.search(rb"google|drive", page, re.I):
        for pattern, reason in _DRIVE_PAGES:
            if re.search(pattern, page, re.I):
                return f"an HTML page: Google Drive refused the download, {reason}"
        return "an HTML page: Google Drive refused the download"
    return f"an HTML page titled {quote(title[1])}" if title else "an HTML page"

"""A reader of images of FITS files in numpy alone: untrusted bytes reach no decoder in C.

Uncompressed images of the FITS standard (Pence et al. 2010, A&A 524, A42) are read: the primary
image, or that of the first extension after an empty primary header. Compressed images, tables and
random groups are refused.
"""

import re
from collections.abc import Iterator

import numpy as np

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import quote

BLOCK = 2880
CARD = 80
# Headers of a broker that adds its own cards have three blocks.
_MAX_HEADER_BLOCKS = 10
_MAX_UNITS = 4
_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_INTEGER = re.compile(rb"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(rb"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([ED][+-]?[0-9]{1,3})?")
# Cards that define the pixels and their values; each may be there once.
_STRUCTURAL = frozenset(
    b"SIMPLE XTENSION BITPIX NAXIS NAXIS1 NAXIS2 PCOUNT GCOUNT GROUPS ZIMAGE BSCALE BZERO "
    b"BLANK".split()
)

Cards = dict[bytes, bytes]


def read_image(raw: bytes) -> np.ndarray:
    """Read the first image of a FITS file: float `(H, W)`, rows upwards as FITS stores them.

    BSCALE and BZERO are applied, and a pixel of integers that equals BLANK is NaN. Raises
    ValueError for any other file.
    """
    position = 0
    for _ in range(_MAX_UNITS):
        if position and position >= len(raw):
            break
        cards, position = _read_header(raw, position)
        _validate_image(cards)
        if _integer(cards, b"NAXIS"):
            return _read_pixels(raw, cards, position)
    raise ValueError("a FITS file without an image")


def header_cards(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keyword and the 80 bytes of every card, up to and including END."""
    for start in range(0, len(header), CARD):
        card = header[start : start + CARD]
        keyword = card[:8].rstrip()
        yield keyword, card
        if keyword == b"END":
            return


def _read_header(raw: bytes, position: int) -> tuple[Cards, int]:
    """Read the structural cards of a header; return them, and where the data after it start."""
    first = b"XTENSION= " if position else b"SIMPLE  = "
    if not raw.startswith(first, position):
        if position:
            raise ValueError("no extension after an empty primary header")
        raise ValueError(f"no FITS image but {describe(raw[:HEAD_BYTES])}")
    cards: Cards = {}
    number = 0
    keyword = b""
    for keyword, card in header_cards(raw[position : position + _MAX_HEADER_BLOCKS * BLOCK]):
        number += 1
        if card[8:10] != b"= ":
            continue
        if keyword in _STRUCTURAL:
            if keyword in cards:
                raise ValueError(f"the card {keyword.decode()} twice")
            cards[keyword] = card[10:].split(b"/")[0].strip()
    if keyword != b"END":
        raise ValueError(f"a FITS header without its end in {_MAX_HEADER_BLOCKS} blocks")
    return cards, position + -(-number * CARD // BLOCK) * BLOCK


def _validate_image(cards: Cards) -> None:
    kind = cards.get(b"XTENSION", b"IMAGE").strip(b"' ")
    if cards.get(b"ZIMAGE") == b"T":
        raise ValueError("a compressed FITS image, which is not read; funpack unpacks it")
    if kind != b"IMAGE":
        raise ValueError(f"a FITS extension {quote(kind, 20)}, no image")
    if cards.get(b"GROUPS") == b"T" or cards.get(b"NAXIS1") == b"0":
        raise ValueError("random groups of FITS, no image")
    if cards.get(b"SIMPLE", b"T") != b"T":
        raise ValueError("a file that says that it does not follow the FITS standard")
    for keyword, required in ((b"PCOUNT", 0), (b"GCOUNT", 1)):
        if keyword in cards and _integer(cards, keyword) != required:
            raise ValueError(f"a FITS image whose {keyword.decode()} is not {required}")


def _read_pixels(raw: bytes, cards: Cards, start: int) -> np.ndarray:
    axes = _integer(cards, b"NAXIS")
    if axes != 2:
        raise ValueError(f"a FITS array of {axes} axes, no image of 2")
    width, height = (_integer(cards, keyword) for keyword in (b"NAXIS1", b"NAXIS2"))
    dtype = _DTYPES.get(_integer(cards, b"BITPIX"))
    if dtype is None:
        raise ValueError(f"BITPIX {quote(cards[b'BITPIX'], 20)}")
    size = width * height * np.dtype(dtype).itemsize
    if not (width > 0 and height > 0 and size <= len(raw) - start):
        raise ValueError(f"{len(raw)} bytes for {quote(str(height))} x {quote(str(width))} pixels")
    pixels = np.frombuffer(raw, dtype, width * height, start).reshape(height, width)
    scale, zero = _number(cards, b"BSCALE", 1.0), _number(cards, b"BZERO", 0.0)
    # A number that float32 cannot hold becomes infinite, and is masked as such.
    with np.errstate(over="ignore", invalid="ignore"):
        if (scale, zero) == (1.0, 0.0):
            image = pixels.astype(np.float32)
        else:
            image = (pixels.astype(np.float64) * scale + zero).astype(np.float32)
    if pixels.dtype.kind != "f" and b"BLANK" in cards:
        image[pixels == _integer(cards, b"BLANK")] = np.nan
    return image


def _integer(cards: Cards, keyword: bytes) -> int:
    value = cards.get(keyword)
    if value is None:
        raise ValueError(f"a FITS header without {keyword.decode()}")
    if not _INTEGER.fullmatch(value):
        raise ValueError(f"the FITS card {keyword.decode()} is {quote(value, 20)}, no whole number")
    return int(value)


def _number(cards: Cards, keyword: bytes, default: float) -> float:
    value = cards.get(keyword)
    if value is None:
        return default
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"the FITS card {keyword.decode()} is {quote(value, 20)}, no number")
    number = float(value.replace(b"D", b"E"))
    if not np.isfinite(number):
        raise ValueError(f"the FITS card {keyword.decode()} is {quote(value, 20)}, not finite")
    return number

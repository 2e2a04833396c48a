"""Cutouts of a ZTF packet: gzipped FITS images to pixels, and the position of a smaller image."""

from functools import lru_cache

import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError

from ztfrep.sources.packets.fits import BLOCK, header_cards, read_image

STAMP_SIZE = 63
# Pixels of a ZTF quadrant's readout, columns and rows (Masci et al. 2019, PASP 131, 018003).
COLUMNS, ROWS = 3072, 3080
_GZIP_WINDOW_BITS = 31
# A stamp is seven blocks of FITS, 20 kB; a far larger file is no stamp.
_MAX_FITS_BYTES = 1 << 18


class AlertError(ValueError):
    """An alert that cannot be used; `reason` is the key of its count."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_cutout(compressed: bytes) -> np.ndarray:
    """Read a gzipped FITS image: float32 `(H, W)`, rows upwards as FITS stores them.

    Raises AlertError for any other bytes.
    """
    decompressor = isal_zlib.decompressobj(_GZIP_WINDOW_BITS)
    try:
        raw = decompressor.decompress(compressed, _MAX_FITS_BYTES)
    except IsalError as error:  # type: ignore[misc]
        raise AlertError("gzip", str(error)) from error
    if not decompressor.eof:
        raise AlertError("gzip", "cut short" if not decompressor.unconsumed_tail else "too large")
    shape = _common_shape(raw[:BLOCK])
    if shape is None:
        try:
            return read_image(raw)
        except ValueError as error:
            raise AlertError("fits", str(error)) from error
    pixels = shape[0] * shape[1]
    if len(raw) < BLOCK + 4 * pixels:
        raise AlertError("fits", f"{len(raw)} bytes for {shape[0]} x {shape[1]} pixels")
    # Big-endian; copying it into a batch converts it.
    return np.frombuffer(raw, ">f4", pixels, BLOCK).reshape(shape)


@lru_cache(maxsize=1024)
def _common_shape(header: bytes) -> tuple[int, int] | None:
    """Return the rows and columns in a header of one block before float32 pixels, else None."""
    cards: dict[bytes, bytes] = {}
    keyword = b""
    for keyword, card in header_cards(header):
        if card[8:10] == b"= ":
            # `read_image` refuses a card that is there twice.
            if keyword in cards:
                return None
            cards[keyword] = card[10:].split(b"/")[0].strip()
    if keyword != b"END":
        return None
    required = {b"SIMPLE": b"T", b"BITPIX": b"-32", b"NAXIS": b"2"}
    if any(cards.get(keyword) != value for keyword, value in required.items()):
        return None
    if cards.keys() & {b"BSCALE", b"BZERO", b"GROUPS", b"XTENSION", b"ZIMAGE"}:
        return None
    sides = cards.get(b"NAXIS2", b""), cards.get(b"NAXIS1", b"")
    if not all(side.isdigit() and len(side) < 5 and side != b"0" for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def cutout_slices(shape: tuple[int, int], xpos: float, ypos: float) -> tuple[slice, slice]:
    """Return the rows and columns of an image of `shape` in a stamp with its alert in the centre.

    A stamp has 63 x 63 pixels. An image is smaller where an edge of the readout cuts it; `xpos` and
    `ypos`, the alert's 1-based pixels in the readout, determine which edge. Raises AlertError for
    an image that does not hold its alert, is larger than a stamp, or is cut at an unknown edge.
    """
    height, width = shape
    if not (STAMP_SIZE // 2 < height <= STAMP_SIZE and STAMP_SIZE // 2 < width <= STAMP_SIZE):
        raise AlertError("shape", f"{height} x {width} pixels")
    return _axis_slice(height, ypos, ROWS), _axis_slice(width, xpos, COLUMNS)


def _axis_slice(length: int, position: float, readout: int) -> slice:
    if length == STAMP_SIZE:
        return slice(0, STAMP_SIZE)
    if not np.isfinite(position):
        raise AlertError("shape", f"a side of {length} pixels, cut at an unknown edge")
    start = STAMP_SIZE - length if position < readout / 2 else 0
    return slice(start, start + length)

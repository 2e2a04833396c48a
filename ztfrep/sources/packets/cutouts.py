"""The image stamps of a ZTF packet: gzipped FITS to pixels, cut stamps padded to the full size."""

from functools import lru_cache

import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError

from ztfrep.sources.packets.fits import BLOCK, header_cards, read_image

SIZE = 63
# Pixels of a ZTF quadrant's readout, columns and rows (Masci et al. 2019, PASP 131, 018003).
COLUMNS, ROWS = 3072, 3080
_GZIP = 31
# A stamp unpacks to seven blocks of FITS, 20 kB; what asks for far more is no stamp.
_LARGEST = 1 << 18


class AlertError(ValueError):
    """An alert that cannot be used; `reason` is the word that it is counted by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_cutout(packed: bytes) -> np.ndarray:
    """Read a gzipped FITS image: float32 `(H, W)`, rows upwards as FITS stores them.

    Raises AlertError for bytes that are no such file.
    """
    unpacker = isal_zlib.decompressobj(_GZIP)
    try:
        raw = unpacker.decompress(packed, _LARGEST)
    except IsalError as error:  # type: ignore[misc]
        raise AlertError("gzip", str(error)) from error
    if not unpacker.eof:
        raise AlertError("gzip", "cut short" if not unpacker.unconsumed_tail else "too large")
    shape = _plain_shape(raw[:BLOCK])
    if shape is None:
        try:
            return read_image(raw)
        except ValueError as error:
            raise AlertError("fits", str(error)) from error
    pixels = shape[0] * shape[1]
    if len(raw) < BLOCK + 4 * pixels:
        raise AlertError("fits", f"{len(raw)} bytes for {shape[0]} x {shape[1]} pixels")
    # Big-endian, until it is copied into a batch.
    return np.frombuffer(raw, ">f4", pixels, BLOCK).reshape(shape)


@lru_cache(maxsize=1024)
def _plain_shape(header: bytes) -> tuple[int, int] | None:
    """Return rows and columns by a header of one block over float32 pixels, None by any other."""
    cards: dict[bytes, bytes] = {}
    keyword = b""
    for keyword, card in header_cards(header):
        if card[8:10] == b"= ":
            # A card that is there twice is left to the reader that refuses it.
            if keyword in cards:
                return None
            cards[keyword] = card[10:].split(b"/")[0].strip()
    if keyword != b"END":
        return None
    plain = {b"SIMPLE": b"T", b"BITPIX": b"-32", b"NAXIS": b"2"}
    if any(cards.get(keyword) != value for keyword, value in plain.items()):
        return None
    if cards.keys() & {b"BSCALE", b"BZERO", b"GROUPS", b"XTENSION", b"ZIMAGE"}:
        return None
    sides = cards.get(b"NAXIS2", b""), cards.get(b"NAXIS1", b"")
    if not all(side.isdigit() and len(side) < 5 and side != b"0" for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def place(shape: tuple[int, int], xpos: float, ypos: float) -> tuple[slice, slice]:
    """Say where in 63 x 63 pixels an image of `shape` belongs, the alert in the middle.

    An image is smaller where an edge of the readout cut it; `xpos` and `ypos` (1-based pixels of
    the alert in the readout) tell which edge. Raises AlertError for an image that cannot hold its
    alert, is larger than a stamp, or is cut at an unknown edge.
    """
    height, width = shape
    if not (SIZE // 2 < height <= SIZE and SIZE // 2 < width <= SIZE):
        raise AlertError("shape", f"{height} x {width} pixels")
    return _along(height, ypos, ROWS), _along(width, xpos, COLUMNS)


def _along(side: int, position: float, readout: int) -> slice:
    if side == SIZE:
        return slice(0, SIZE)
    if not np.isfinite(position):
        raise AlertError("shape", f"a side of {side} pixels, cut at an unknown edge")
    start = SIZE - side if position < readout / 2 else 0
    return slice(start, start + side)

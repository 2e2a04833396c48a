"""The image stamps of a ZTF packet: gzipped FITS to pixels, cut stamps padded to the full size."""

import io
import warnings
from functools import lru_cache

import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError

SIZE = 63
# Pixels of a ZTF quadrant's readout, columns and rows (Masci et al. 2019, PASP 131, 018003).
COLUMNS, ROWS = 3072, 3080
_BLOCK = 2880
_CARD = 80
_GZIP = 31
# A stamp unpacks to seven blocks of FITS; what asks for far more is no stamp.
_LARGEST = 1 << 20


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
    shape = _plain_shape(raw[:_BLOCK])
    if shape is None:
        return _read_any_fits(raw)
    pixels = shape[0] * shape[1]
    if len(raw) < _BLOCK + 4 * pixels:
        raise AlertError("fits", f"{len(raw)} bytes for {shape[0]} x {shape[1]} pixels")
    # Big-endian, until it is copied into a batch.
    return np.frombuffer(raw, ">f4", pixels, _BLOCK).reshape(shape)


@lru_cache(maxsize=1024)
def _plain_shape(header: bytes) -> tuple[int, int] | None:
    """Tell rows and columns of a header of one block over plain float32, None of any other."""
    cards: dict[bytes, bytes] = {}
    for start in range(0, len(header), _CARD):
        keyword = header[start : start + 8].rstrip()
        if keyword == b"END":
            break
        if header[start + 8 : start + 10] == b"= ":
            cards[keyword] = header[start + 10 : start + _CARD].split(b"/")[0].strip()
    else:
        return None
    plain = {b"SIMPLE": b"T", b"BITPIX": b"-32", b"NAXIS": b"2"}
    if any(cards.get(keyword) != value for keyword, value in plain.items()):
        return None
    if cards.keys() & {b"BSCALE", b"BZERO", b"GROUPS"}:
        return None
    sides = cards.get(b"NAXIS2", b""), cards.get(b"NAXIS1", b"")
    if not all(side.isdigit() and len(side) < 5 for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _read_any_fits(raw: bytes) -> np.ndarray:
    # Slow to import, and hardly ever needed.
    from astropy.io import fits

    try:
        with warnings.catch_warnings(action="ignore"), fits.open(io.BytesIO(raw)) as units:
            unit = next(u for u in units if u.header["NAXIS"] > 0)
            sides = [unit.header[f"NAXIS{axis + 1}"] for axis in range(unit.header["NAXIS"])]
            # A header may announce more pixels than there is memory for.
            if len(sides) != 2 or max(sides) > SIZE:
                raise AlertError("shape", f"axes of {sides} pixels")
            image = np.array(unit.data, dtype=np.float32)
    except AlertError:
        raise
    except Exception as error:  # Hostile bytes make the reader raise almost anything.
        raise AlertError("fits", f"{type(error).__name__}") from error
    if image.ndim != 2:
        raise AlertError("fits", "no image")
    return image


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

"""Images of the stamps of alerts for the map: palette PNG, an alert per row."""

from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from threading import Lock

import numpy as np

from ztfrep.catalogues.stamp_stretch import stretch_preview
from ztfrep.palette import MASKED as MASKED_COLOUR

_GREYS = 255
# Rows that are decoded at once, those of a row group of a catalogue, and blocks of them in memory:
# 3 MiB of previews each.
_BLOCK_ROWS, _BLOCKS = 256, 8


class StampImages:
    """Images of the previews of a catalogue of n alerts, of some rows each.

    `read_previews` returns previews uint8 `(m, 3, H, H)` of rows; it is called when they are asked
    for, and some megabytes of them stay in memory.
    """

    def __init__(self, read_previews: Callable[[range], np.ndarray], n: int) -> None:
        self._read, self._n = read_previews, n
        self._blocks: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def image(self, rows: range) -> bytes:
        """Return the PNG of consecutive rows; see `stamp_image`."""
        numbers = range(rows.start // _BLOCK_ROWS, (rows.stop - 1) // _BLOCK_ROWS + 1)
        previews = np.concatenate([self._block(number) for number in numbers])
        start = rows.start - numbers.start * _BLOCK_ROWS
        return stamp_image(previews[start : start + len(rows)])

    def _block(self, number: int) -> np.ndarray:
        # One reads at a time, so that memory is that of one block more.
        with self._lock:
            if number not in self._blocks:
                start = number * _BLOCK_ROWS
                self._blocks[number] = self._read(range(start, min(start + _BLOCK_ROWS, self._n)))
                if len(self._blocks) > _BLOCKS:
                    self._blocks.popitem(last=False)
            self._blocks.move_to_end(number)
            return self._blocks[number]


def stamp_image(previews: np.ndarray) -> bytes:
    """Return previews uint8 `(m, 3, H, W)` as a PNG of m H times 3 W pixels.

    The stamps of an alert are side by side, alerts below each other, and the first row of a FITS
    image is at the bottom of a stamp. See `stretch_preview` for the grey levels. Palette index
    0 is a pixel that was not observed, 1 to 255 are black to white.
    """
    from PIL import Image  # Slow to import.

    n, channels, height, width = previews.shape
    levels = np.stack([stretch_preview(stamp) for stamps in previews for stamp in stamps])
    levels = levels.reshape(n, channels, height, width)[:, :, ::-1]
    image = Image.fromarray(levels.transpose(0, 2, 1, 3).reshape(n * height, channels * width))
    greys = np.repeat(np.linspace(0, 255, _GREYS).round().astype(np.uint8), 3)
    image.putpalette(bytes.fromhex(MASKED_COLOUR[1:]) + greys.tobytes())
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()

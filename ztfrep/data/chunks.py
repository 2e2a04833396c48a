"""Rows of an array in chunks, so that a memory map is read a part at a time."""

from collections.abc import Iterator

from tqdm import tqdm

_CHUNK_ROWS = 500


def chunks(rows: int, progress: str | None = None, size: int = _CHUNK_ROWS) -> Iterator[slice]:
    """Iterate over slices of at most `size` of `rows` rows.

    `progress` is the label of a progress bar, drawn on a terminal.
    """
    disable = None if progress else True
    with tqdm(total=rows, desc=progress, unit=" rows", disable=disable, leave=False) as bar:
        for start in range(0, rows, size):
            chunk = slice(start, min(start + size, rows))
            yield chunk
            bar.update(chunk.stop - chunk.start)

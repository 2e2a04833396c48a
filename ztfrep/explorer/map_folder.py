"""A map as a folder of files, which a browser opens from the disk."""

from pathlib import Path

from tqdm import tqdm

from ztfrep.data.files import replacing_folder
from ztfrep.errors import InputError
from ztfrep.explorer.map_files import MAP, PAGE, MapFiles, data_script

# Rows of a script of details and of an image of stamps: a hundred thousand files are many.
ROWS_PER_FILE = 32
# Files whose neighbours are searched for at once.
_FILES_PER_BLOCK = 32
_NAMES = {*PAGE, "data", "stamps"}


def check_folder(folder: Path) -> None:
    """Raise InputError for a path that has anything but a map, which is replaced."""
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_dir() and not folder.is_symlink():
        names = {path.name for path in folder.iterdir()}
        if not names or (names <= _NAMES and (folder / MAP).is_file()):
            return
        found = "a folder with other files"
    else:
        found = "no folder"
    raise InputError(
        folder,
        found=found,
        expected="a new or empty folder, or a map to replace",
        remedy="name another one",
    )


def write_folder(files: MapFiles, folder: str | Path) -> int:
    """Write a map into a folder, which appears whole or not at all; return its size in bytes.

    Raises InputError for a folder that has other files; see `check_folder`.
    """
    folder = Path(folder)
    check_folder(folder)
    size = 0
    with replacing_folder(folder) as temporary:

        def write(name: str, content: bytes) -> None:
            nonlocal size
            (temporary / name).write_bytes(content)
            size += len(content)

        (temporary / "data").mkdir(parents=True)
        if files.stamps is not None:
            (temporary / "stamps").mkdir()
        for name in (*PAGE, *files.names_of_columns()):
            file = files.read(name)
            if file is None:
                raise ValueError(f"no file {name}")
            write(name, file.content)
        with tqdm(desc="write", total=len(files), unit=f" {files.catalogue.info.rows}",
                  disable=None) as bar:  # fmt: skip
            for rows in _blocks(len(files), files.rows_per_file * _FILES_PER_BLOCK):
                details = files.details.details(rows)
                for start in range(rows.start, rows.stop, files.rows_per_file):
                    part = range(start, min(start + files.rows_per_file, rows.stop))
                    place = start // files.rows_per_file
                    values = details[start - rows.start : part.stop - rows.start]
                    write(f"data/details-{place}.js", data_script(f"details-{place}", values))
                    if files.stamps is not None:
                        write(f"stamps/{place}.png", files.stamps.image(part))
                    bar.update(len(part))
    return size


def _blocks(n: int, size: int) -> list[range]:
    return [range(start, min(start + size, n)) for start in range(0, n, size)]

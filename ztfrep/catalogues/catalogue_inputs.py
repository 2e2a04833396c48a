"""The catalogue that a command works on: the user's, or one of the user's packets."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ztfrep.catalogues.catalogue import Catalogue, objects_path, read_catalogue
from ztfrep.catalogues.catalogue_schema import FORMAT, OBJECTS
from ztfrep.catalogues.encoding import encode_paths
from ztfrep.catalogues.packet_encoding import as_paths
from ztfrep.data.parquet_files import MAGIC, as_input_errors, open_parquet
from ztfrep.data.parquet_layout import check_layout
from ztfrep.encoders.encoder import Encoder
from ztfrep.errors import InputError


@contextmanager
def open_catalogue(
    paths: str | Path | Sequence[str | Path],
    load_encoder: Callable[[], Encoder],
    *,
    objects: bool = False,
) -> Iterator[Catalogue]:
    """Yield a catalogue at a path, or a temporary one of packets or of an alert table.

    `load_encoder` is called if there is something to encode, and then `objects` selects the
    catalogue of objects in place of that of alerts. Raises InputError as `read_catalogue` and
    `encode_paths` do.
    """
    inputs = as_paths(paths)
    if len(inputs) == 1 and is_catalogue(inputs[0]):
        catalogue = read_catalogue(inputs[0])
        if objects and catalogue.info.rows != OBJECTS:
            raise InputError(
                inputs[0],
                found=f"a catalogue of {catalogue.info.rows}",
                expected="one of objects",
                remedy=f"give the catalogue of objects beside it: {objects_path(inputs[0])}",
            )
        yield catalogue
        return
    with tempfile.TemporaryDirectory(prefix="ztfrep-") as folder:
        out = Path(folder) / "vectors.parquet"
        encoder = load_encoder()
        if objects:
            encoder.require_object_network()
        encode_paths(encoder, inputs, out, previews=False)
        yield read_catalogue(objects_path(out) if objects else out)


def is_catalogue(path: Path) -> bool:
    """Return True for a file that says that it is a catalogue, and for a folder of such files."""
    if path.is_dir():
        return any(map(is_catalogue, sorted(path.glob("*.parquet"))))
    if not path.is_file():
        return False
    with path.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            return False
    try:
        check_layout(path)
        with open_parquet(path) as file, as_input_errors(path):
            metadata = file.schema_arrow.metadata or {}
    except InputError:
        return False
    # Of any version: the reader refuses another than its own.
    return metadata.get(b"format", b"").startswith(FORMAT.rpartition("-")[0].encode())

"""Projections of a catalogue, kept beside it: NAME.projections of NAME.parquet.

The file is Parquet with two columns for each projection. It is another suffix than that of
catalogues, which a folder may have beside it.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from ztfrep.data.files import replacing
from ztfrep.data.parquet_files import as_input_errors, open_parquet
from ztfrep.data.parquet_layout import check_layout
from ztfrep.errors import InputError
from ztfrep.explorer.map_projections import (
    PROJECTIONS,
    MapProjection,
    project_vectors,
    projection_settings,
)

_FORMAT = "ztfrep-projections-1"


def projections_path(catalogue: Path) -> Path:
    """Return the path of the projections of a catalogue, a file or a folder."""
    path = catalogue.absolute()
    return path.with_name(f"{path.name if path.is_dir() else path.stem}.projections")


def read_or_project(
    catalogue: Path, vectors: np.ndarray, methods: Sequence[str], *, seed: int
) -> dict[str, MapProjection]:
    """Return the projections of vectors `(n, d)` by methods, in their order.

    Those of the same vectors and settings are read from the file beside the catalogue; others are
    computed and stored there, with a warning if that is impossible.
    """
    path, checksum = projections_path(catalogue), _checksum(vectors)
    stored = _read(path, checksum, len(vectors), seed)
    missing = [method for method in methods if method not in stored]
    if missing:
        with tqdm(total=len(missing), unit=" projections", disable=None) as bar:
            for method in missing:
                bar.set_description(f"{method} of {len(vectors):,} vectors")
                stored[method] = project_vectors(vectors, method, seed=seed)
                bar.update()
        try:
            _write(path, checksum, stored, seed)
        except OSError as error:
            logging.warning("%s: projections are not stored: %s", path, error.strerror or error)
    return {method: stored[method] for method in methods}


def _checksum(vectors: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()


def _read(path: Path, checksum: str, rows: int, seed: int) -> dict[str, MapProjection]:
    """Return the projections in a file that are those of the vectors; none of another file."""
    if not path.is_file():
        return {}
    try:
        check_layout(path)
        with open_parquet(path) as file, as_input_errors(path):
            metadata = {k.decode(): v.decode() for k, v in file.schema_arrow.metadata.items()}
            identity = json.loads(metadata["projections"])
            if (identity["format"], identity["vectors"]) != (_FORMAT, checksum):
                return {}
            usable = [
                method
                for method in PROJECTIONS
                if identity["settings"].get(method) == projection_settings(method, seed)
            ]
            columns = [name for method in usable for name in _columns(method)]
            table = file.read(columns)
        found = {}
        for method in usable:
            points = np.stack([table.column(name).to_numpy() for name in _columns(method)], axis=1)
            if points.shape != (rows, 2) or points.dtype != np.float32:
                raise ValueError("other points")
            if not (np.abs(points) <= 1).all():
                raise ValueError("points outside of the map")
            found[method] = MapProjection(points, str(identity["notes"][method]))
    except (InputError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        logging.warning("%s: cannot be read, and is made again", path)
        return {}
    return found


def _write(path: Path, checksum: str, projections: Mapping[str, MapProjection], seed: int) -> None:
    columns = {
        name: values
        for method, projection in projections.items()
        for name, values in zip(_columns(method), projection.points.T, strict=True)
    }
    identity = {
        "format": _FORMAT,
        "vectors": checksum,
        "settings": {method: projection_settings(method, seed) for method in projections},
        "notes": {method: projection.note for method, projection in projections.items()},
    }
    table = pa.table({name: np.ascontiguousarray(values) for name, values in columns.items()})
    with replacing(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata({"projections": json.dumps(identity)}),
            temporary,
            compression="zstd",
            use_dictionary=False,
            write_page_checksum=True,
        )


def _columns(method: str) -> tuple[str, str]:
    return f"{method}_x", f"{method}_y"

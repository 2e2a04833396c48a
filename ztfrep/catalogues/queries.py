"""Queries: alerts or objects, of a catalogue or of packets, whose like is searched for."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ztfrep.catalogues.catalogue import Catalogue, objects_path, read_catalogue
from ztfrep.catalogues.catalogue_schema import ALERTS, OBJECTS
from ztfrep.catalogues.encoding import encode_paths
from ztfrep.encoders.encoder import load
from ztfrep.errors import InputError, quote

_FLOAT = re.compile(r"\d+\.\d*|\d+(\.\d*)?[eE][+-]?\d+")


@dataclass(frozen=True, eq=False)
class Queries:
    """Rows of a catalogue that are queries to another, or to itself.

    Attributes
    ----------
    catalogue : Catalogue
        The catalogue that has the queries: that which is searched, or that of packets.
    rows : int64 (q,)
        Their rows in it.
    excluded : list of int64 (m,)
        For each, the rows of the searched catalogue that are not in its result: the query itself.
    """

    catalogue: Catalogue
    rows: np.ndarray
    excluded: list[np.ndarray]

    @property
    def vectors(self) -> np.ndarray:
        """The vectors, float32 `(q, d)`."""
        return self.catalogue.vectors()[self.rows]


@contextmanager
def find_queries(
    catalogue: Catalogue, text: str, *, model: str | Path | None = None, other_objects: bool = False
) -> Iterator[Queries]:
    """Yield the queries that a text stands for.

    Parameters
    ----------
    catalogue : Catalogue
        The catalogue that is searched.
    text : str
        A candid or an object id of the catalogue, or the path of a packet, of an archive, of a
        folder of them, or of an alert table. The id of an object with several alerts in the
        catalogue is its last alert.
    model : path, optional
        The folder of the encoder of the catalogue, for a path; by default the released encoder. It
        is not read for an id.
    other_objects : bool
        Exclude all alerts of a query's object from its result, not the query alone.

    Raises InputError for an id that the catalogue does not have, a candid as a floating-point
    number, a path that cannot be read, and a model that is not that of the catalogue.
    """
    # False for a text that is no path, such as a very long one; that of Path raises OSError.
    if os.path.exists(text):
        with TemporaryDirectory() as folder:
            yield _encode(catalogue, Path(text), model, Path(folder), other_objects)
    else:
        row = _find_row(catalogue, text)
        yield _make(catalogue, catalogue, np.array([row]), other_objects)


def _find_row(catalogue: Catalogue, text: str) -> int:
    table, is_alerts = catalogue.table, catalogue.info.rows == ALERTS
    if _FLOAT.fullmatch(text):
        raise InputError(
            catalogue.path,
            found=f"the floating-point number {quote(text)} as an id",
            expected="all digits of a candid: a floating-point number has 16",
            remedy="copy it from a table that has candids as integers or text",
        )
    found = (table["object_id"] == text).to_numpy()
    # Compared as integers: a float64 does not hold 19 digits.
    if not found.any() and is_alerts and text.isascii() and text.isdigit() and len(text) <= 19:
        found = (table["candid"] == int(text)).fillna(False).to_numpy(dtype=bool)
    rows = np.flatnonzero(found)
    if not len(rows):
        expected = "a candid or an object id" if is_alerts else "an object id"
        raise InputError(
            catalogue.path,
            found=f"no row of {quote(text)}, which is no file either",
            expected=f"{expected} of its {len(table):,} rows, or the path of a packet",
            remedy=f"list some with: ztfrep rank {catalogue.path}",
        )
    return int(rows[table["mjd"].to_numpy()[rows].argmax()])


def _encode(
    catalogue: Catalogue, path: Path, model: str | Path | None, folder: Path, other_objects: bool
) -> Queries:
    encoder = load(model)
    if encoder.checksum != catalogue.info.model:
        raise InputError(
            model or "the released encoder",
            found="another model than that of the catalogue",
            expected=f"the model that computed {catalogue.path}",
            remedy="name its folder with --model, or make the catalogue again with ztfrep encode",
        )
    out = folder / "queries.parquet"
    encode_paths(encoder, path, out)
    queries = read_catalogue(objects_path(out) if catalogue.info.rows == OBJECTS else out)
    return _make(queries, catalogue, np.arange(len(queries)), other_objects)


def _make(queries: Catalogue, catalogue: Catalogue, rows: np.ndarray, by_object: bool) -> Queries:
    """Return queries with the rows of the catalogue of the same alert, or object."""
    key = "object_id" if by_object or catalogue.info.rows == OBJECTS else "candid"
    same = catalogue.table.groupby(key, dropna=True).indices
    excluded = []
    for row, value in zip(rows, queries.table[key].iloc[rows], strict=True):
        own = same.get(value, np.empty(0, np.int64))
        # Also a row without a candid, which has no like.
        excluded.append(np.union1d(own, [row] if queries is catalogue else []).astype(np.int64))
    return Queries(queries, rows, excluded)

"""Similar alerts and objects: the rows of a catalogue nearest to a vector by cosine distance."""

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.catalogue_schema import PROBABILITY

# Rows and queries whose distances are in memory at a time: 16 MiB.
_ROWS_PER_BLOCK, _QUERIES_PER_BLOCK = 16_384, 256
# The squares of such numbers are float32, and so is the sum of 4,096 of them.
_SAFE = 1e-16, 1e16
_ZTF_ID = re.compile(r"ZTF\d{2}[a-z]{7}")
_ALERCE = "https://alerce.online/object/"


class Neighbours(NamedTuple):
    """The nearest rows of q queries in ascending order of distance, then of row.

    Attributes
    ----------
    rows : int64 (q, k)
        -1 where there are fewer than k rows that are not excluded.
    distances : float32 (q, k)
        Cosine distances, 0 to 2; inf where there is no row.
    """

    rows: np.ndarray
    distances: np.ndarray


class NeighbourIndex(Protocol):
    """What finds the nearest rows in place of the exact search."""

    def search(
        self, queries: np.ndarray, k: int, excluded: Sequence[np.ndarray] | None = None
    ) -> Neighbours:
        """Return the nearest rows; see `nearest`."""


def similar(
    catalogue: Catalogue,
    queries: np.ndarray,
    k: int = 10,
    *,
    excluded: Sequence[Sequence[int] | np.ndarray] | None = None,
    index: NeighbourIndex | None = None,
) -> pd.DataFrame:
    """Return the k rows of a catalogue nearest to each query by cosine distance.

    Parameters
    ----------
    catalogue : Catalogue
    queries : float (q, d) or (d,)
        Vectors of the model of the catalogue.
    k : int
        Fewer rows are returned if the catalogue has fewer.
    excluded : sequence of int (m,), optional
        Rows of the catalogue that are not in the result of each query.
    index : VectorIndex, optional
        Of the catalogue; without one the search is exact.

    Returns
    -------
    DataFrame
        `query` (0 to q - 1), `rank` (from 1), `object_id`, `candid` or `n_alerts`,
        `predicted_class`, `probability` of that class, `distance` (0 to 2) and `link`, the page of
        a ZTF object at ALeRCE. The index has the rows in the catalogue.

    Raises ValueError for k < 1 and for queries of another length or that are not finite.
    """
    queries = np.atleast_2d(np.asarray(queries))
    length = catalogue.info.vector_length
    if queries.ndim != 2 or queries.shape[1] != length or not np.isfinite(queries).all():
        raise ValueError(f"queries {queries.shape}; expected finite numbers (q, {length})")
    if k < 1:
        raise ValueError(f"k {k}; expected 1 or more")
    left_out = None if excluded is None else [np.asarray(rows, np.int64) for rows in excluded]
    if index is None:
        rows, distances = nearest(catalogue.vectors(), queries, k, left_out)
    else:
        rows, distances = index.search(queries, k, left_out)
    is_row = rows >= 0
    query, place = np.nonzero(is_row)
    result = describe_rows(catalogue, rows[is_row])
    result.insert(0, "query", query)
    result.insert(1, "rank", place + 1)
    link = result.pop("link")
    return result.assign(distance=distances[is_row], link=link)


def describe_rows(catalogue: Catalogue, rows: np.ndarray) -> pd.DataFrame:
    """Return what identifies some rows of a catalogue `(m,)`, with their class and a link.

    The columns are `object_id`, `candid` or `n_alerts`, `predicted_class`, `probability` and
    `link`; see `similar`.
    """
    described = catalogue.table.iloc[rows]
    probabilities = described[[f"{PROBABILITY}{name}" for name in catalogue.info.classes]]
    names = [name for name in ("object_id", "candid", "n_alerts") if name in described]
    return described[[*names, "predicted_class"]].assign(
        probability=probabilities.to_numpy().max(axis=1),
        link=[object_link(object_id) for object_id in described["object_id"]],
    )


def nearest(
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    excluded: Sequence[np.ndarray] | None = None,
) -> Neighbours:
    """Return the k of n vectors `(n, d)` nearest to each query `(q, d)`, by exact search.

    `excluded` has rows for each query that are not in its result. The distance from a vector of
    zeros to any other is 1. The result has n columns if k is larger. Memory is that of the vectors
    and some 50 MiB.
    """
    queries = unit_vectors(queries)
    k = min(k, len(vectors))
    rows = np.full((len(queries), k), -1)
    distances = np.full((len(queries), k), np.inf, np.float32)
    for start in range(0, len(vectors), _ROWS_PER_BLOCK):
        block = unit_vectors(vectors[start : start + _ROWS_PER_BLOCK]).T
        for first in range(0, len(queries), _QUERIES_PER_BLOCK):
            part = slice(first, first + _QUERIES_PER_BLOCK)
            block_distances = queries[part] @ block
            np.subtract(1, block_distances, out=block_distances)
            if excluded is not None:
                for query, left_out in zip(block_distances, excluded[part], strict=True):
                    inside = (left_out >= start) & (left_out < start + len(query))
                    query[left_out[inside] - start] = np.inf
            # Most rows are farther from all queries than the k best so far.
            farthest = distances[part].max(axis=1, keepdims=True)
            columns = np.flatnonzero((block_distances < farthest).any(axis=0))
            candidates = np.hstack([distances[part], block_distances[:, columns]])
            candidate_rows = np.hstack(
                [rows[part], np.broadcast_to(start + columns, (len(candidates), len(columns)))]
            )
            best = np.argpartition(candidates, k - 1, axis=1)[:, :k]
            distances[part] = np.take_along_axis(candidates, best, axis=1)
            rows[part] = np.take_along_axis(candidate_rows, best, axis=1)
    return sort_neighbours(rows, distances)


def sort_neighbours(rows: np.ndarray, distances: np.ndarray) -> Neighbours:
    """Return neighbours `(q, k)` in ascending order of distance, then of row; inf has no row.

    Distances of less than 0, by rounding, become 0.
    """
    distances = np.maximum(distances, 0)
    rows = np.where(np.isfinite(distances), rows, -1)
    order = np.lexsort((rows, distances), axis=1)
    return Neighbours(
        np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
    )


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return vectors `(n, d)` of finite numbers with the length 1, float32; zeros stay zeros."""
    units = np.empty(vectors.shape, np.float32)
    # In blocks, so that no other copy of all vectors is made.
    for start in range(0, len(vectors), _ROWS_PER_BLOCK):
        block = np.asarray(vectors[start : start + _ROWS_PER_BLOCK])
        largest = np.abs(block).max(axis=1, keepdims=True, initial=0)
        if not ((largest > _SAFE[0]) & (largest < _SAFE[1])).all():
            # The squares would be infinite or 0.
            block = block / np.where(largest > 0, largest, 1)
        length = np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        units[start : start + len(block)] = block / np.where(length > 0, length, 1)
    return units


def object_link(object_id: str) -> str:
    """Return the page of a ZTF object at ALeRCE, or an empty text for another id."""
    return f"{_ALERCE}{object_id}" if _ZTF_ID.fullmatch(object_id) else ""

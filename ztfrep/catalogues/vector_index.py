"""An index of the vectors of a catalogue, for many searches among many rows.

The vectors are divided into lists around centroids (k-means), and a search reads the lists of the
nearest centroids alone (Jégou et al. 2011, IEEE TPAMI 33, 117, section IV). The file has the
centroids and the list of each row, not the vectors: it is small, and reading it runs no code.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.similarity import Neighbours, nearest, sort_neighbours, unit_vectors
from ztfrep.data.files import replacing
from ztfrep.encoders.state_dicts import read_metadata
from ztfrep.errors import InputError

_FORMAT = "ztfrep-index-1"
# One entry: safetensors writes several entries in an order that varies.
_IDENTITY = "identity"
# Train vectors for each centroid: more take longer, with the same recall.
_VECTORS_PER_CENTROID = 64
# Lists that a search reads, of some sqrt(n): recall of 0.99 or more, see docs/search.md.
_LISTS_PER_SEARCH = 16


class VectorIndex:
    """An index of n vectors.

    Attributes
    ----------
    centroids : float32 (m, d)
    lists : int32 (n,)
        The centroid of each vector.
    """

    def __init__(self, vectors: np.ndarray, centroids: np.ndarray, lists: np.ndarray) -> None:
        """Take the vectors `(n, d)` that were indexed. Raises InputError without faiss."""
        faiss = _import_faiss()
        from faiss.contrib.ivf_tools import add_preassigned

        self.centroids, self.lists = centroids, lists
        self._vectors = vectors
        self._index = _empty_index(faiss, *centroids.shape)
        self._index.quantizer.add(centroids)
        self._index.is_trained = True
        add_preassigned(self._index, unit_vectors(vectors), lists.astype(np.int64))

    @classmethod
    def build(cls, vectors: np.ndarray) -> "VectorIndex":
        """Build an index of vectors `(n, d)`, n >= 1, on one thread: equal for equal vectors.

        Raises InputError if faiss is not installed.
        """
        return cls(vectors, *_cluster(unit_vectors(vectors)))

    def search(
        self, queries: np.ndarray, k: int, excluded: Sequence[np.ndarray] | None = None
    ) -> Neighbours:
        """Return the k vectors nearest to each query `(q, d)`; see `similarity.nearest`.

        Some of them may be missed. A query whose lists have fewer than k rows is searched exactly.
        """
        k = min(k, len(self.lists))
        more = max((len(rows) for rows in excluded), default=0) if excluded is not None else 0
        self._index.nprobe = _LISTS_PER_SEARCH
        wanted = min(k + more, len(self.lists))
        similarity, rows = self._index.search(unit_vectors(queries), wanted)
        distances = np.where(rows >= 0, 1 - similarity, np.inf)
        for row, left_out in enumerate(excluded or ()):
            distances[row, np.isin(rows[row], left_out)] = np.inf
        neighbours = sort_neighbours(rows, distances.astype(np.float32))
        neighbours = Neighbours(*(part[:, :k].copy() for part in neighbours))
        few = np.flatnonzero((neighbours.rows < 0).any(axis=1))
        if len(few):
            without = None if excluded is None else [excluded[int(row)] for row in few]
            exact = nearest(self._vectors, queries[few], k, without)
            neighbours.rows[few], neighbours.distances[few] = exact
        return neighbours


def index_path(catalogue: Path) -> Path:
    """Return the path of the index beside a catalogue: `NAME.index` of `NAME.parquet`."""
    return catalogue.with_suffix(".index")


def write_index(catalogue: Catalogue) -> Path:
    """Build the index of a catalogue and write it beside it; return its path.

    The same rows give the same bytes. Raises InputError if faiss is not installed.
    """
    vectors = catalogue.vectors()
    index = VectorIndex.build(vectors)
    path = index_path(catalogue.path)
    with replacing(path) as temporary:
        tensors = {"centroids": index.centroids, "lists": index.lists}
        save_file(tensors, temporary, {_IDENTITY: json.dumps(_describe(vectors))})
    return path


def read_index(catalogue: Catalogue) -> VectorIndex:
    """Read the index beside a catalogue.

    Raises InputError if there is none, if it is broken or of other vectors, and without faiss.
    """
    path = index_path(catalogue.path)

    def error(found: str) -> InputError:
        remedy = f"make it with: ztfrep index {catalogue.path}"
        return InputError(path, found=found, expected="the index of this catalogue", remedy=remedy)

    if not path.is_file():
        raise error("no such file")
    vectors = catalogue.vectors()
    try:
        identity = json.loads(read_metadata(path)[_IDENTITY])
    except (InputError, LookupError, ValueError, RecursionError) as reason:
        raise error("no index, or a broken one") from reason
    if identity != _describe(vectors):
        raise error("an index of other vectors")
    try:
        with safe_open(path, framework="np") as file:
            centroids, lists = (file.get_tensor(name) for name in ("centroids", "lists"))
    except Exception as reason:  # safetensors raises exceptions of several classes.
        raise error("a broken index") from reason
    valid = (
        (centroids.dtype, lists.dtype) == (np.float32, np.int32)
        and lists.shape == (len(vectors),)
        and centroids.shape == (len(centroids), vectors.shape[1])
        and 1 <= len(centroids) <= len(vectors)
        and bool(np.isfinite(centroids).all())
        and bool(((lists >= 0) & (lists < len(centroids))).all())
    )
    if not valid:
        raise error("centroids and lists that do not fit")
    return VectorIndex(vectors, centroids, lists)


def _describe(vectors: np.ndarray) -> dict[str, object]:
    checksum = hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()
    return {"format": _FORMAT, "rows": len(vectors), "sha256": checksum}


def _cluster(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centroids float32 `(m, d)` of unit vectors, and the centroid of each, int32 `(n,)`."""
    faiss = _import_faiss()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        n_lists = max(1, min(round(len(units) ** 0.5), len(units) // _VECTORS_PER_CENTROID))
        index = _empty_index(faiss, n_lists, units.shape[1])
        index.train(units)
        _, lists = index.quantizer.search(units, 1)
    finally:
        faiss.omp_set_num_threads(threads)
    return index.quantizer.reconstruct_n(0, n_lists), lists[:, 0].astype(np.int32)


def _empty_index(faiss: Any, n_lists: int, length: int) -> Any:
    quantizer = faiss.IndexFlatIP(length)
    index = faiss.IndexIVFFlat(quantizer, length, n_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.spherical = True
    index.cp.max_points_per_centroid = _VECTORS_PER_CENTROID
    # Without this, faiss prints a warning for a small catalogue.
    index.cp.min_points_per_centroid = 1
    return index


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise InputError(
            "faiss",
            found="that it is not installed",
            expected="it for an index",
            remedy='install it: pip install "ztfrep[index]"; or search without an index',
        ) from error
    return faiss

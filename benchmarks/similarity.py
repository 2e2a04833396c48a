"""Exact search and the index at 100,000 and a million vectors: recall, queries per second, memory.

The vectors are those of the pipeline, resampled: between two random alerts, with noise of a tenth
of the spread, so that they are as clustered as real ones. Queries are drawn in the same way, and
are not among the vectors. Both searches use one thread, and the times are seconds of a core, so
that other processes do not change them.

    python -m benchmarks.similarity
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.measuring import measure, save
from ztfrep.catalogues.similarity import nearest
from ztfrep.catalogues.vector_index import VectorIndex
from ztfrep.data.vector_files import read_vectors

ROOT = Path(__file__).parents[1]
_QUERIES, _K = 500, 10


def main() -> None:
    """Measure each number of vectors in a process of its own, then save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, default=ROOT / "data/encoded/base.npy")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        result = _measure_size(options.vectors, options.sizes[0])
        options.one.write_text(json.dumps(result), encoding="utf-8")
        return
    sizes = {}
    for size in options.sizes:
        out = ROOT / f".cache/similarity-{size}.json"
        out.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.similarity", "--vectors", str(options.vectors)]
        measured = measure([*command, "--sizes", str(size), "--one", str(out)], cwd=ROOT)
        sizes[str(size)] = {
            **json.loads(out.read_text(encoding="utf-8")),
            "peak_mib": measured.peak_mib,
        }
    save("similarity", {"k": _K, "queries": _QUERIES, "threads": 1, "sizes": sizes})


def _measure_size(path: Path, size: int) -> dict[str, object]:
    import faiss
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(0)
    encoded = np.concatenate([part.vectors for part in read_vectors(path).values()])
    vectors = np.concatenate(
        [resample(encoded, generator, len(rows))[0] for rows in np.array_split(np.arange(size), 20)]
    )
    queries, _ = resample(encoded, generator, _QUERIES)
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1):
        exact, exact_seconds = _timed(lambda: nearest(vectors, queries, _K))
        _, one_seconds = _timed(lambda: nearest(vectors, queries[:1], _K))
        index, build_seconds = _timed(lambda: VectorIndex.build(vectors))
        _, load_seconds = _timed(lambda: VectorIndex(vectors, index.centroids, index.lists))
        found, index_seconds = _timed(lambda: index.search(queries, _K))
        _, one_index_seconds = _timed(lambda: index.search(queries[:1], _K))
    hits = [np.isin(ours, best).mean() for ours, best in zip(found.rows, exact.rows, strict=True)]
    return {
        "dimensions": vectors.shape[1],
        "lists": len(index.centroids),
        "recall_at_10": round(float(np.mean(hits)), 4),
        "exact_queries_per_s": round(_QUERIES / exact_seconds, 1),
        "index_queries_per_s": round(_QUERIES / index_seconds, 1),
        "exact_one_query_ms": round(1000 * one_seconds, 1),
        "index_one_query_ms": round(1000 * one_index_seconds, 2),
        "index_build_s": round(build_seconds, 1),
        "index_load_s": round(load_seconds, 1),
        "vectors_mib": round(vectors.nbytes / 2**20),
        "index_file_mib": round((index.centroids.nbytes + index.lists.nbytes) / 2**20, 1),
    }


def resample(
    encoded: np.ndarray, generator: np.random.Generator, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return n vectors, each nearer to the first of two random ones, and the row of that one."""
    first, second = generator.integers(0, len(encoded), (2, n))
    share = generator.uniform(0, 0.5, (n, 1)).astype(np.float32)
    noise = generator.standard_normal((n, encoded.shape[1]), np.float32)
    vectors = (
        encoded[first]
        + share * (encoded[second] - encoded[first])
        + 0.1 * encoded.std(axis=0) * noise
    )
    return vectors, first


def _timed(work):  # type: ignore[no-untyped-def]
    start = time.process_time()
    value = work()
    return value, time.process_time() - start


if __name__ == "__main__":
    main()

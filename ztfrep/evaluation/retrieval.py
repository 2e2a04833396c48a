"""Retrieval: search for alerts or objects of the same class by vectors."""

import numpy as np

from ztfrep.evaluation.bootstrap import Bootstrap, Scores

_NEIGHBOURS = 10
# Number of queries whose distances to all train rows are in memory at a time.
_QUERIES_PER_CHUNK = 256


def retrieval(
    train: np.ndarray,
    train_labels: np.ndarray,
    vectors: np.ndarray,
    labels: np.ndarray,
    bootstrap: Bootstrap,
) -> Scores:
    """Compute precision at 10 and mean average precision of queries among the train rows.

    Vectors are standardised by the train rows. Train rows `(m, d)` are ranked by their Euclidean
    distance to each query `(n, d)`. A train row is a hit if it has the query's label.
    """
    # Slow to import.
    from sklearn.metrics import pairwise_distances
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    candidates, queries = scaler.transform(train), scaler.transform(vectors)
    nearest = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(candidates))).fit(candidates)
    hits = train_labels[nearest.kneighbors(queries)[1]] == labels[:, None]
    average_precision = np.concatenate(
        [
            _average_precision(
                pairwise_distances(queries[rows], candidates), train_labels == labels[rows, None]
            )
            for rows in np.array_split(
                np.arange(len(queries)), -(-len(queries) // _QUERIES_PER_CHUNK)
            )
        ]
    )
    return {
        **bootstrap.score("precision_at_10", np.mean, hits.mean(axis=1)),
        **bootstrap.score("mean_average_precision", np.mean, average_precision),
    }


def _average_precision(distances: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Return the mean of the precisions at the ranks of the hits, for each query: `(queries,)`."""
    ranked = np.take_along_axis(hits, distances.argsort(axis=1, kind="stable"), axis=1)
    precision = ranked.cumsum(axis=1) / np.arange(1, ranked.shape[1] + 1)
    average: np.ndarray = (precision * ranked).sum(axis=1) / np.maximum(ranked.sum(axis=1), 1)
    return average

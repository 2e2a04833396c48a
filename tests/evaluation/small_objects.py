"""Small series of objects, and the input of networks of objects."""

import numpy as np
import pandas as pd

from ztfrep.models.object.observation_input import object_input


def observations(lengths, seed=0):
    """Return a table of alternating prior detections (step -1) and detections (steps 0, 1, ...)."""
    rng = np.random.default_rng(seed)
    rows = [
        {"row": row, "detection": 2 * step + part, "step": step if part else -1}
        for row, length in enumerate(lengths)
        for step in range(length)
        for part in (0, 1)
    ]
    table = pd.DataFrame(rows)
    return table.assign(
        mjd=59000.0 + table["detection"],
        fid=1 + table["detection"] % 2,
        magpsf=rng.uniform(17, 20, len(table)),
        sigmapsf=0.1,
        diffmaglim=20.5,
    )


def series(lengths, d=6, seed=0):
    """Return vectors `(n, steps, d)`, zero-padded."""
    vectors = np.random.default_rng(seed).normal(size=(len(lengths), max(lengths), d))
    for row, length in enumerate(lengths):
        vectors[row, length:] = 0
    return vectors


def objects(lengths, table=None, *, all_observations=True):
    """Return the input of a network of objects."""
    return object_input(
        observations(lengths) if table is None else table,
        series(lengths),
        max_observations=32,
        all_observations=all_observations,
    )

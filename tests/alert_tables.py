"""Small alert tables."""

import numpy as np

from ztfrep.data.alert_schema import CLASSES, TableInfo
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL

SIDE = 42
CANDID = 1_200_000_000_000_000_001


def alert_rows(n=5, seed=0, **columns):
    """Return the columns of n alerts of n objects; `columns` replace some of them."""
    generator = np.random.default_rng(seed)
    rows = {
        "object_id": [f"ZTF{seed}{row:04d}" for row in range(n)],
        "candid": CANDID + 1000 * seed + np.arange(n),
        "mjd": 59_000.0 + np.arange(n),
        "fid": 1 + np.arange(n) % 2,
        "detection": np.zeros(n, dtype=np.int64),
        "split": ["train"] * n,
        "label": np.arange(n) % len(CLASSES),
        "n_copies": np.ones(n, dtype=np.int64),
        "stamps": generator.normal(100, 10, (n, 3, SIDE, SIDE)).astype(np.float32),
    }
    rows |= {name: generator.uniform(1, 20, n) for name in ALERCE_FEATURES.names}
    return rows | columns


def write_table(path, *parts, unit=PHYSICAL, classes=CLASSES, stamp_location="inline"):
    """Write an alert table, and open it."""
    info = TableInfo(SIDE, SIDE, "counts", unit, classes, stamp_location)
    with AlertWriter(path, info) as writer:
        for part in parts:
            writer.write(part)
    return AlertTable(path)

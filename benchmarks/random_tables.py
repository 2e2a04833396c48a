"""Alert tables of any size, of noise with a star, for measurements of speed."""

from pathlib import Path

import numpy as np

from ztfrep.data.alert_schema import CLASSES, ROW_GROUP, TableInfo
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL

_FIRST_CANDID = 1_200_000_000_000_000_000


def write_random_table(path: Path, rows: int, side: int) -> AlertTable:
    """Write a table of alerts of one object each, with stamps of `side` pixels; return it."""
    generator = np.random.default_rng(0)
    axis = np.arange(side) - side // 2
    star = np.exp(-(axis**2 + axis[:, None] ** 2) / 8)
    noise = generator.normal(300, 20, (ROW_GROUP, 3, side, side)).astype(np.float32)
    with AlertWriter(path, TableInfo(side, side, "counts", PHYSICAL, CLASSES, "inline")) as writer:
        for start in range(0, rows, ROW_GROUP):
            n = min(ROW_GROUP, rows - start)
            brightness = generator.uniform(50, 5000, (n, 3, 1, 1))
            writer.write(
                {
                    "object_id": [f"ZTF{start + row:010d}" for row in range(n)],
                    "candid": _FIRST_CANDID + start + np.arange(n),
                    "mjd": 59_000.0 + np.arange(n),
                    "fid": 1 + np.arange(n) % 2,
                    "detection": np.zeros(n, dtype=np.int64),
                    "split": ["test"] * n,
                    "label": np.arange(n) % len(CLASSES),
                    "n_copies": np.ones(n, dtype=np.int64),
                    "stamps": (noise[:n] + brightness * star).astype(np.float32),
                    **{name: generator.uniform(1, 20, n) for name in ALERCE_FEATURES.names},
                }
            )
    return AlertTable(path)

"""The usual loop of notebooks over archives of packets, as a baseline."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from astropy.io import fits


def read_usually(folder: Path) -> Iterator[tuple[dict[str, Any], list[np.ndarray]]]:
    """Yield each alert and its stamps; the schema of every packet is parsed, by fastavro.

    astropy opens every stamp.
    """
    for path in sorted(folder.iterdir()):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                for alert in fastavro.reader(io.BytesIO(file.read())):
                    assert isinstance(alert, dict)
                    yield (
                        alert,
                        [_read_stamp(alert, x) for x in ("Science", "Template", "Difference")],
                    )


def _read_stamp(alert: dict[str, Any], name: str) -> np.ndarray:
    packed = alert[f"cutout{name}"]["stampData"]
    with gzip.open(io.BytesIO(packed)) as unpacked, fits.open(io.BytesIO(unpacked.read())) as units:
        return np.array(units[0].data, dtype=np.float32)

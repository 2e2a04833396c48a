"""Catalogues of known rows, without a network."""

import numpy as np
import pyarrow as pa

from ztfrep.catalogues.catalogue import read_catalogue, write_catalogue
from ztfrep.catalogues.catalogue_rows import preview_column
from ztfrep.catalogues.catalogue_schema import ALERTS, LIGHT_CURVE, CatalogueInfo

CANDID = 1_234_567_890_123_456_789
CLASSES = ("AGN", "SN", "bogus")
TERMS = ("neighbour_distance", "reconstruction_error", "class_entropy")


def write_small_catalogue(path, vectors, *, rows=ALERTS, preview_size=None, **columns):
    """Write a catalogue of n alerts, or objects, with vectors `(n, d)`; return it opened.

    Alert i has the candid CANDID + i, and is of the object i // 2; `columns` replace some;
    with `class` and `split` it is that of an alert table.
    """
    vectors = np.asarray(vectors, np.float32)
    n = len(vectors)
    info = CatalogueInfo(
        rows, CLASSES, vectors.shape[1], "model", "0", preview_size, labelled="split" in columns
    )
    number = np.arange(n)
    values = {
        "object_id": [f"ZTF20aaaaaa{chr(97 + i // (2 if rows == ALERTS else 1))}" for i in number],
        "candid": CANDID + number,
        "mjd": 59000.0 + number,
        "fid": np.ones(n, np.int8),
        "magpsf": 20.0 - number,
        "ra": number,
        "dec": number,
        "n_alerts": np.ones(n, np.int32),
        "n_observations": np.full(n, 3, np.int32),
        "probability_AGN": np.full(n, 0.25),
        "probability_SN": np.where(number % 2, 0.5, 0.2),
        "probability_bogus": np.where(number % 2, 0.25, 0.55),
        "anomaly_score": number,
        **{term: number / 2 for term in TERMS},
        **columns,
    }
    values["vector"] = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel()), info.vector_length
    )
    if rows != ALERTS:
        values["light_curve"] = pa.array([_light_curve(i) for i in number], LIGHT_CURVE)
    if preview_size is not None:
        shape = (n, 3, preview_size, preview_size)
        previews = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        values["preview"] = preview_column(previews)
    arrays = {
        field.name: values[field.name]
        if isinstance(values[field.name], pa.Array)
        else pa.array(values[field.name], from_pandas=True).cast(field.type)
        for field in info.schema()
    }
    write_catalogue(path, info, iter([pa.table(arrays)]))
    return read_catalogue(path)


def _light_curve(number):
    return [
        {"mjd": 1.0, "fid": 1, "magpsf": None, "sigmapsf": None, "diffmaglim": 20.5},
        # As in some real packets.
        {"mjd": 1.5, "fid": 2, "magpsf": None, "sigmapsf": None, "diffmaglim": -1007.5},
        {"mjd": 2.0 + number, "fid": 2, "magpsf": 19.0, "sigmapsf": 0.1, "diffmaglim": 20.0},
        {"mjd": 4.0, "fid": 1, "magpsf": 18.0, "sigmapsf": None, "diffmaglim": None},
    ]

"""Small catalogues of random vectors around a point for each class, and their model folder."""

import numpy as np
import pyarrow as pa

from tests.model_folders import save
from ztfrep.catalogues.catalogue import read_catalogue, write_catalogue
from ztfrep.catalogues.catalogue_schema import ALERTS, CatalogueInfo
from ztfrep.encoders.encoder import load

CANDID = 1234567890123456000
LENGTH = 6


def save_model_folder(folder):
    """Write networks of alerts and of objects, and their references."""
    save(folder / "autoencoder", "alert-invariant")
    save(folder / "recurrent", "object-temporal-gru")
    return load(folder, device="cpu")


def write(path, encoder, *, rows=ALERTS, n=120, classes=3, alerts_per_object=1, seed=0, spread=1.0,
          length=None, **columns):  # fmt: skip
    """Write a catalogue; return it, and the class of each row: int `(n,)`.

    Alerts of an object have the same class and the same vector. `columns` replace columns.
    """
    is_alerts = rows == ALERTS
    names = encoder.classes if is_alerts else encoder.object_classes
    own_length = LENGTH if is_alerts else encoder.object_network.config.hidden
    length = length or own_length
    info = CatalogueInfo(rows, tuple(names), length, encoder.checksum, "1.0")
    generator = np.random.default_rng(seed)
    n_objects = -(-n // alerts_per_object)
    owner = np.arange(n) // alerts_per_object
    truth = generator.permutation(np.arange(n_objects) % classes)
    points = np.eye(classes, length)[truth] * 4
    vectors = (points + spread * generator.normal(size=(n_objects, length)))[owner]
    probabilities = generator.dirichlet(np.ones(len(names)), n).astype(np.float32)
    values = {
        "object_id": [f"ZTF20aa{chr(97 + o // 676)}{chr(97 + o // 26 % 26)}aa{chr(97 + o % 26)}"
                      for o in owner],
        "candid": CANDID + np.arange(n),
        "mjd": 59000.123456789 + np.arange(n),
        "fid": np.ones(n, np.int8),
        "n_alerts": np.ones(n, np.int32),
        "n_observations": np.ones(n, np.int32),
        **dict(zip(info.probability_columns, probabilities.T, strict=True)),
        "vector": pa.FixedSizeListArray.from_arrays(
            pa.array(vectors.ravel(), pa.float32()), length
        ),
        **columns,
    }  # fmt: skip
    schema = info.schema()
    arrays = []
    for field in schema:
        value = values.get(field.name)
        if value is None:
            value = pa.nulls(n, field.type)
        elif not isinstance(value, pa.Array):
            value = pa.array(value, field.type)
        arrays.append(value)
    write_catalogue(path, info, iter([pa.Table.from_arrays(arrays, schema=schema)]))
    return read_catalogue(path), truth[owner]

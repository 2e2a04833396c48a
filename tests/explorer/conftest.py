"""Catalogues for a map, and what a browser reads of it."""

import json

import numpy as np
import pytest

from tests.catalogues.small_catalogues import write_small_catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.explorer.catalogue_map import make_map


def value_of(script):
    """Return the key and the value of a script of data."""
    text = script.decode("ascii")
    start, end = "ztfrepData(", ");\n"
    assert text.startswith(start) and text.endswith(end)
    return json.loads(f"[{text[len(start) : -len(end)]}]")


def read(files, name):
    """Return the value of a file of data; its key is its name."""
    key, value = value_of(files.read(name).content)
    assert name == f"data/{key}.js"
    return value


@pytest.fixture
def random_vectors():
    return np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32)


@pytest.fixture
def alerts(tmp_path, random_vectors):
    """Return the path of a catalogue of 40 alerts of 20 objects."""
    path = tmp_path / "v.parquet"
    magnitudes = 20 - 0.1 * np.arange(40)
    write_small_catalogue(path, random_vectors, preview_size=9, magpsf=magnitudes)
    return path


@pytest.fixture
def with_objects(alerts, tmp_path, random_vectors):
    """Return the path of the same alerts, with the catalogue of their first 15 objects."""
    write_small_catalogue(tmp_path / "v.objects.parquet", random_vectors[:15, :4], rows=OBJECTS)
    return alerts


@pytest.fixture
def small_map(alerts):
    return make_map(alerts, projections=["pca"])

"""Every source offers its parameters, fetch and convert; all of them through one registry."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from ztfrep.data.alert_table import AlertTable
from ztfrep.data.splits import SPLITS, Splitting
from ztfrep.errors import InputError
from ztfrep.fields import NO_FILE, Table
from ztfrep.params import Params
from ztfrep.sources import SOURCES, get_source
from ztfrep.sources.base import Source, TablePaths
from ztfrep.sources.conversion import convert
from ztfrep.sources.manifest import describe_file, read_manifest, unchanged_path, write_manifest
from ztfrep.sources.simulation import survey

ROOT = Path(__file__).parents[2]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
SPLITTING = Splitting(test_fraction=0.05, min_test_objects=1, seed=7)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_has_a_table_of_parameters_and_can_be_fetched_and_converted(name):
    source = get_source(name)
    assert isinstance(source, Source)
    assert issubclass(source.Config, Table)
    assert source.Config.model_validate(PARAMS["sources"][name])


def test_the_registry_names_every_source_of_the_parameters():
    assert list(PARAMS["sources"]) == list(SOURCES)
    schema = Params.model_json_schema()
    assert schema["properties"]["source"]["enum"] == list(SOURCES)
    assert list(schema["$defs"]["Sources"]["properties"]) == list(SOURCES)


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="Unknown source 'gaia'. Must be one of: sample, local"):
        get_source("gaia")


def test_the_parameters_of_the_sources_are_read_without_slow_imports():
    slow = ["pandas", "pyarrow", "duckdb", "scipy", "sklearn", "gdown", "requests", "torch"]
    program = f"import sys, ztfrep.params; print([n for n in {slow} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("local", "sources.local.stamps", "a pickle"),
        ("alerts", "sources.alerts.path", "alert packets"),
    ],
)
def test_a_source_without_a_path_is_refused_with_the_option_to_add(tmp_path, name, key, expected):
    source = get_source(name)
    config = source.Config.model_validate(PARAMS["sources"][name])
    message = f"params.yaml: {key}: found none; expected {expected}; give .* with -S {key}=PATH"
    with pytest.raises(InputError, match=message):
        source.fetch(config, tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A tiny survey, fetched."""
    raw = tmp_path_factory.mktemp("raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "_TEST_PER_CLASS", 2)
        patch.setattr(survey, "series_counts", lambda scale: {0: 20, 1: 4, 2: 20})
        source = get_source("sample")
        manifest = source.fetch(source.Config(scale=0.001, seed=7), raw, raw)
    write_manifest(raw / "manifest.json", "sample", manifest)
    return raw / "manifest.json"


def paths(folder):
    return TablePaths(folder / "stamps", folder / "series", folder / "failures")


def test_a_manifest_is_read_as_it_was_written(sample):
    manifest = read_manifest(sample)
    assert list(manifest) == ["source", "stamps", "series"]
    assert manifest["source"] == "sample"
    for name in ("stamps", "series"):
        path = unchanged_path(manifest[name])
        assert describe_file(path) == manifest[name]


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "no such file"), ("{", "broken JSON"), ("[]", "no source"), ("{}", "no source")],
)
def test_an_invalid_manifest_is_refused(tmp_path, content, found):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=f"found {found}; expected the manifest"):
        read_manifest(path)


def test_a_file_that_has_changed_since_it_was_fetched_is_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    record = describe_file(path)
    path.write_bytes(b"1234")
    with pytest.raises(InputError, match="found 4 bytes; expected the 5 bytes that fetch saw"):
        unchanged_path(record)
    path.unlink()
    with pytest.raises(InputError, match="found 0 bytes"):
        unchanged_path(record)


def test_every_source_of_pickles_writes_the_same_tables_for_the_same_pickles(sample, tmp_path):
    manifest = read_manifest(sample)
    local = get_source("local")
    config = local.Config(stamps=manifest["stamps"]["path"], series=manifest["series"]["path"])
    own = {"source": "local", **local.fetch(config, tmp_path, tmp_path)}
    counts = []
    for name, content in (("sample", manifest), ("local", own)):
        (tmp_path / name).mkdir()
        tables = paths(tmp_path / name)
        counts.append(convert(content, config, tables, splitting=SPLITTING, threads=1))
        assert not tables.failures.exists()
    assert counts[0] == counts[1]
    for table in ("stamps", "series"):
        first, second = (tmp_path / name / table for name in ("sample", "local"))
        assert first.read_bytes() == second.read_bytes()
    alerts = AlertTable(tmp_path / "local" / "stamps")
    assert alerts.rows == sum(counts[0]["stamps"][split]["written"] for split in SPLITS)
    assert np.isfinite(alerts.features()).any()


def test_a_conversion_that_fails_leaves_neither_table(sample, tmp_path):
    manifest = json.loads(sample.read_text())
    manifest["series"] = describe_file(Path(manifest["stamps"]["path"]))
    config = get_source("sample").Config(scale=0.001, seed=7)
    with pytest.raises(InputError, match="expected key 'template'"):
        convert(manifest, config, paths(tmp_path), splitting=SPLITTING, threads=1)
    assert list(tmp_path.iterdir()) == []


def test_a_class_too_rare_to_be_split_is_refused(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "_TEST_PER_CLASS", 2)
        patch.setattr(survey, "series_counts", lambda scale: {0: 6, 1: 2, 2: 6})
        source = get_source("sample")
        config = source.Config(scale=0.001, seed=7)
        manifest = source.fetch(config, tmp_path / "raw", tmp_path)
    (tmp_path / "tables").mkdir()
    with pytest.raises(InputError, match="class 1 has 2 objects; a split needs three"):
        convert(
            {"source": "sample", **manifest},
            config,
            paths(tmp_path / "tables"),
            splitting=SPLITTING,
            threads=1,
        )
    assert list((tmp_path / "tables").iterdir()) == []


def test_no_file_is_the_placeholder_of_every_path():
    assert (ROOT / NO_FILE).is_file()

"""The public API: raw arrays, tables and packets of the same alerts have the same vectors."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import numpy as np
import pytest

import ztfrep
from tests.alert_packets import CANDID, alert, archive, observation, packet
from tests.isolation import outside_a_repository, restored_torch_settings
from tests.test_architecture import PACKAGE, imported_packages
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.row_index import read_row_index
from ztfrep.data.splits import SPLITS, Splitting
from ztfrep.data.vector_files import read_vectors
from ztfrep.encoders.vectors_of_tables import (
    encode_alert_table,
    encode_object_series,
    encode_series_table,
)
from ztfrep.errors import InputError
from ztfrep.params import read_params
from ztfrep.sources.packets.archives import make_readers
from ztfrep.sources.packets.labels import no_labels
from ztfrep.sources.packets.packet_tables import write_packet_tables
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.object_training import train_recurrent
from ztfrep.training.training_run import RunSettings

ROOT = Path(__file__).parents[1]
ARCHIVE = "packets.tar.gz"
SETTINGS = {"batch_size": 128, "precision": "float32", "threads": 1}
# Sums of float32 may be computed in another order.
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def write_archive(path):
    """Write packets of 14 alerts of 9 objects, with prior detections and upper limits."""
    files = {}
    for number in range(14):
        prior = [
            observation(jd=2459000.5 + number, candid=CANDID + 1000 + number, magpsf=18.0),
            observation(jd=2459001.5 + number),
        ]
        content = alert(
            f"ZTF20aaaaaa{'abcdefghi'[number % 9]}",
            candid=CANDID + number,
            jd=2459010.5 + number,
            fid=1 + number % 2,
            prior=prior if number % 3 == 0 else None,
            magpsf=16.0 + number / 4,
            sgscore1=0.1 * (number % 7),
            distnr=-999.0 if number == 4 else 1.5,
        )
        files[f"{number}.avro"] = packet(content)
    return archive(path, files)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """Write packets, their tables, untrained networks, and the vectors of the pipeline's stages."""
    folder = tmp_path_factory.mktemp("pipeline")
    packet_archive = write_archive(folder / ARCHIVE)
    stamps, series = folder / "stamps.parquet", folder / "series.parquet"
    write_packet_tables(
        make_readers([packet_archive]), no_labels(), stamps, series, folder / "bad.csv",
        splitting=Splitting(0.1, 2, 1), max_bad_fraction=0.0, threads=1, source=str(packet_archive),
    )  # fmt: skip
    params = read_params(ROOT / "params.yaml")
    run = RunSettings(
        epochs=0, seed=1, threads=1, precision="float32", start_weights=None,
        checkpoints=folder / "checkpoints",
    )  # fmt: skip
    models = folder / "models"
    with outside_a_repository(folder), restored_torch_settings():
        train_autoencoder(
            stamps, "invariant", params.autoencoder.config, run,
            model=models / "autoencoder", metrics=folder / "metrics/autoencoder",
        )  # fmt: skip
        base, recurrent = folder / "base.npy", folder / "baseRecurrente.npy"
        encode_alert_table(stamps, models / "autoencoder", base, **SETTINGS)
        observations = folder / "observations.parquet"
        encode_series_table(
            series, models / "autoencoder", base, recurrent, observations, **SETTINGS
        )
        train_recurrent(
            recurrent, observations, "temporal", params.recurrent.config, run,
            model=models / "recurrent", metrics=folder / "metrics/recurrent",
        )  # fmt: skip
        encode_object_series(
            recurrent, observations, models / "recurrent", folder / "objects.npy",
            precision="float32", threads=1,
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def encoder(pipeline):
    return ztfrep.load(pipeline / "models", device="cpu")


@pytest.fixture(scope="module")
def packets(pipeline):
    return ztfrep.read_packets(pipeline / ARCHIVE)


def read_rows(path):
    """Return the row index of a file of vectors, and the vectors in its order."""
    splits = read_vectors(path)
    return read_row_index(path), np.concatenate([splits[split].vectors for split in SPLITS])


def test_vectors_of_packets_tables_and_arrays_are_those_of_the_pipeline(pipeline, encoder, packets):
    index, expected = read_rows(pipeline / "base.npy")
    table = ztfrep.read_table(pipeline / "stamps.parquet")
    np.testing.assert_allclose(encoder.encode(table), expected, **CLOSE)

    by_candid = dict(zip(index["candid"], expected, strict=True))
    vectors = encoder.encode(packets)
    assert vectors.shape == (14, 128)
    assert vectors.dtype == np.float32
    expected = np.stack([by_candid[candid] for candid in packets.identity["candid"]])
    np.testing.assert_allclose(vectors, expected, **CLOSE)

    metadata = dict(zip(ALERCE_FEATURES.names, packets.metadata.T, strict=True))
    vectors = encoder.encode_stamps(packets.stamps, metadata)
    np.testing.assert_allclose(vectors, expected, **CLOSE)
    assert len(np.unique(vectors.round(3), axis=0)) == 14


def test_vectors_of_objects_are_those_of_the_pipeline(pipeline, encoder, packets):
    index, expected = read_rows(pipeline / "objects.npy")
    order = np.argsort(index["object_id"].to_numpy())
    table = ztfrep.read_table(pipeline / "stamps.parquet", series=pipeline / "series.parquet")
    for alerts in (packets, table):
        ids, vectors = encoder.encode_objects(alerts)
        assert ids.tolist() == index["object_id"].to_numpy()[order].tolist()
        np.testing.assert_allclose(vectors, expected[order], **CLOSE)
    # Prior detections and upper limits are part of an object.
    _, alerts_only = encoder.encode_objects(ztfrep.read_table(pipeline / "stamps.parquet"))
    assert np.abs(alerts_only - expected[order]).max() > 1e-3


def test_an_affine_scaling_of_the_counts_changes_nothing(encoder, packets):
    vectors = encoder.encode_stamps(packets.stamps)
    scaled = encoder.encode_stamps(packets.stamps * 7.5 - 3000)
    np.testing.assert_allclose(scaled, vectors, atol=1e-3)
    assert np.abs(vectors - encoder.encode(packets)).max() > 1e-3


def test_every_class_has_a_probability_and_every_alert_a_reconstruction(encoder, packets):
    table = encoder.classify(packets)
    assert table.columns.tolist() == ["object_id", "candid", *CLASSES]
    assert table["candid"].tolist() == packets.identity["candid"].tolist()
    np.testing.assert_allclose(table[list(CLASSES)].sum(axis=1), 1, atol=1e-6)
    reconstruction, (target, mask) = encoder.reconstruct(packets), encoder.scaled_stamps(packets)
    assert reconstruction.shape == target.shape == mask.shape == (14, 3, 21, 21)
    # The error is smaller than that of the mean of all pixels.
    mean = target[mask].mean()
    assert np.square(reconstruction - target)[mask].mean() < np.square(mean - target)[mask].mean()


@pytest.mark.parametrize(
    ("stamps", "metadata", "message"),
    [
        (np.zeros((2, 3, 20, 21)), None, "stamps of shape"),
        (np.zeros((3, 63, 63)), None, "stamps of shape"),
        (np.zeros((2, 1, 63, 63)), None, "stamps of shape"),
        (np.full((2, 3, 21, 21), "x"), None, "stamps of type"),
        (np.zeros((2, 3, 21, 21)), {"mag": np.zeros(2)}, "metadata with a column 'mag'"),
        (np.zeros((2, 3, 21, 21)), {"magpsf": np.zeros(3)}, "metadata magpsf of shape"),
        (np.zeros((0, 3, 21, 21)), None, "no alerts"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(encoder, stamps, metadata, message):
    with pytest.raises(ValueError, match=message):
        encoder.encode_stamps(stamps, metadata)


def test_unusable_pixels_and_sentinels_of_features_are_masked(encoder, packets):
    stamps = packets.stamps[:2].astype(np.float64)
    stamps[0, 0, 5, 5], stamps[1, 2, 30, 30] = np.inf, -3.4e38
    masked = stamps.copy()
    masked[0, 0, 5, 5], masked[1, 2, 30, 30] = np.nan, np.nan
    sentinel = {"magpsf": np.array([-999.0, 18.0]), "ra": np.array([400.0, 20.0])}
    unknown = {"magpsf": np.array([np.nan, 18.0]), "ra": np.array([np.nan, 20.0])}
    np.testing.assert_array_equal(
        encoder.encode_stamps(stamps, sentinel), encoder.encode_stamps(masked, unknown)
    )
    assert np.isfinite(encoder.encode_stamps(np.zeros((1, 3, 63, 63)))).all()


def test_the_folder_of_an_autoencoder_alone_has_no_vectors_of_objects(pipeline, packets):
    encoder = ztfrep.load(pipeline / "models/autoencoder", device="cpu")
    assert encoder.encode(packets).shape == (14, 128)
    with pytest.raises(InputError, match="a network of alerts alone"):
        encoder.encode_objects(packets)


def test_a_series_table_without_stamps_is_refused(pipeline, encoder):
    with pytest.raises(InputError, match=r"open both: read_table\('stamps.parquet', series="):
        encoder.encode(ztfrep.read_table(pipeline / "series.parquet"))


def test_a_missing_file_or_device_is_refused_in_one_line(tmp_path):
    for read in (ztfrep.load, ztfrep.read_table, ztfrep.read_packets):
        with pytest.raises(InputError) as error:
            read(tmp_path / "nothing")
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="device: found 'tpu'"):
        ztfrep.load(tmp_path, device="tpu")


def test_importing_the_package_imports_none_of_its_dependencies():
    program = "import sys, ztfrep; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    slow = {"numpy", "pandas", "torch", "pyarrow", "pydantic", "duckdb", "sklearn", "tqdm"}
    assert not slow & set(completed.stdout.split())


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distributions(requirements):
    return {re.match(r"[\w-]+", name)[0].lower() for name in requirements}


# Of the packages that only some commands need.
EXTRAS = set().union(
    *(
        distributions(PROJECT["optional-dependencies"][name])
        for name in ("cluster", "explore", "index", "onnx", "pipeline", "stream")
    )
) - distributions(PROJECT["dependencies"])


def test_the_package_declares_what_it_imports_and_dvc_is_an_extra():
    base = distributions(PROJECT["dependencies"])
    extra = EXTRAS
    names = {
        "sklearn": "scikit-learn",
        "confluent_kafka": "confluent-kafka",
        "yaml": "pyyaml",
        "onnx_ir": "onnx-ir",
        "faiss": "faiss-cpu",
        "PIL": "pillow",
        "umap": "umap-learn",
    }
    imported = set().union(*map(imported_packages, PACKAGE)) - sys.stdlib_module_names - {"ztfrep"}
    assert {names.get(name, name) for name in imported} <= base | extra
    assert "dvc" in extra - base


# Makes the packages of the extras impossible to find, as where they are not installed. Some
# packages look for others without importing them.
BLOCK = """
import sys
from importlib.machinery import PathFinder
class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        missing = name.split(".")[0] in {extras!r}
        return None if missing else PathFinder.find_spec(name, path, target)
sys.meta_path = [Installed if finder is PathFinder else finder for finder in sys.meta_path]
"""
USER_PROGRAM = """
import json, sys, ztfrep
encoder = ztfrep.load("models")
alerts = ztfrep.read_packets(sys.argv[1])
vectors = encoder.encode(alerts)
ids, objects = encoder.encode_objects(alerts)
print(json.dumps([ztfrep.__file__, vectors.tolist(), ids.tolist(), objects.tolist()]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the wheel into a new environment without the extras; return its python."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ztfrep", source / "ztfrep", ignore=ignore)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run([*pip, *command], check=True)
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv/lib").glob("python*/site-packages")
    (wheel,) = folder.glob("ztfrep-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    # The dependencies are those of this environment.
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    # A name of a distribution may have a hyphen in place of an underscore.
    extras = sorted(name.replace("-", "_") for name in EXTRAS)
    (site / "sitecustomize.py").write_text(BLOCK.format(extras=extras))
    return folder / "venv/bin/python"


def run_user_program(python, folder, packet_archive):
    """Run a program that encodes packets in a folder that has only a model folder."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    completed = subprocess.run(
        [python, "-c", USER_PROGRAM, packet_archive],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout.splitlines()[-1])


def test_an_installed_wheel_encodes_packets_with_a_model_folder_alone(
    pipeline, encoder, packets, installed, tmp_path
):
    shutil.copytree(pipeline / "models", tmp_path / "models")
    file, vectors, ids, objects = run_user_program(installed, tmp_path, pipeline / ARCHIVE)
    assert Path(file).is_relative_to(installed.parents[1])
    np.testing.assert_allclose(vectors, encoder.encode(packets), **CLOSE)
    expected_ids, expected = encoder.encode_objects(packets)
    assert ids == expected_ids.tolist()
    np.testing.assert_allclose(objects, expected, **CLOSE)


def test_an_installed_wheel_encodes_searches_and_ranks_without_training_anything(
    pipeline, installed, tmp_path
):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def run(*arguments):
        program = [installed, "-c", "from ztfrep.cli import main; main()", *map(str, arguments)]
        completed = subprocess.run(
            program, cwd=tmp_path, capture_output=True, text=True, env=environment
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    assert "0 bad" in run("encode", pipeline / ARCHIVE)
    catalogue = ztfrep.read_catalogue(tmp_path / "vectors.parquet")
    candid, other = catalogue.table["candid"].iloc[:2]
    assert str(other) in run("similar", candid, "-k", 50)
    assert str(candid) in run("rank", "--csv", "ranking.csv")
    assert "mean confidence" in run("classify", "vectors.objects.parquet")
    assert not (tmp_path / "data").exists()


def test_an_installed_wheel_has_the_shipped_class_map(installed, tmp_path):
    program = "from ztfrep.data.class_map import read_class_map; print(read_class_map().map('QSO'))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    completed = subprocess.run(
        [installed, "-c", program], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert completed.stdout == "AGN\n", completed.stderr


@pytest.mark.skipif("ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA is not set")
def test_an_installed_wheel_encodes_real_packets(pipeline, installed, tmp_path):
    shutil.copytree(pipeline / "models", tmp_path / "models")
    packet_archive = Path(os.environ["ZTFREP_REAL_DATA"]) / "real-alerts/ztf_public_2018.tar.gz"
    _, vectors, ids, objects = run_user_program(installed, tmp_path, packet_archive)
    assert np.isfinite(vectors).all()
    assert np.isfinite(objects).all()
    assert len(ids) == len(objects) <= len(vectors)

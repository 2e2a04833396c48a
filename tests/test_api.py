"""What a user imports: one encoder for raw arrays, tables and packets, with the same vectors."""

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
from tests.test_architecture import PACKAGE, third_party
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
SETTINGS = {"batch_size": 128, "precision": "float32", "threads": 1}
# The pixels of two routes are the same, and float32 sums may be taken in another order.
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def write_archive(path):
    """Packets of 14 alerts of 9 objects, with prior detections and upper limits."""
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
def house(tmp_path_factory):
    """Packets, their tables, networks of one epoch's length, and the vectors of the pipeline."""
    folder = tmp_path_factory.mktemp("house")
    night = write_archive(folder / "night.tar.gz")
    stamps, series = folder / "stamps.parquet", folder / "series.parquet"
    write_packet_tables(
        make_readers([night]), no_labels(), stamps, series, folder / "bad.csv",
        splitting=Splitting(0.1, 2, 1), max_bad_fraction=0.0, threads=1, source=str(night),
    )  # fmt: skip
    params = read_params(ROOT / "params.yaml")
    run = RunSettings(
        epochs=0, seed=1, threads=1, precision="float32", start_weights=None,
        checkpoints=folder / "checkpoints",
    )  # fmt: skip
    models = folder / "models"
    with pytest.MonkeyPatch.context() as patch:
        # DVCLive would make use of a repository around the folder.
        patch.chdir(folder)
        patch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
        for name in ("DVC_ROOT", "DVC_STAGE"):
            patch.delenv(name, raising=False)
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
def encoder(house):
    return ztfrep.load(house / "models", device="cpu")


@pytest.fixture(scope="module")
def packets(house):
    return ztfrep.read_packets(house / "night.tar.gz")


def rows(path):
    """Vectors of a file of the pipeline, in the order of its row index."""
    splits = read_vectors(path)
    return read_row_index(path), np.concatenate([splits[split].vectors for split in SPLITS])


def test_vectors_of_packets_tables_and_arrays_are_those_of_the_pipeline(house, encoder, packets):
    index, expected = rows(house / "base.npy")
    table = ztfrep.read_table(house / "stamps.parquet")
    np.testing.assert_allclose(encoder.encode(table), expected, **CLOSE)

    by_candid = dict(zip(index["candid"], expected, strict=True))
    of_packets = encoder.encode(packets)
    assert of_packets.shape == (14, 128)
    assert of_packets.dtype == np.float32
    expected = np.stack([by_candid[candid] for candid in packets.identity["candid"]])
    np.testing.assert_allclose(of_packets, expected, **CLOSE)

    metadata = dict(zip(ALERCE_FEATURES.names, packets.metadata.T, strict=True))
    arrays = encoder.encode_stamps(packets.stamps, metadata)
    np.testing.assert_allclose(arrays, expected, **CLOSE)
    assert len(np.unique(arrays.round(3), axis=0)) == 14


def test_vectors_of_objects_are_those_of_the_pipeline(house, encoder, packets):
    index, expected = rows(house / "objects.npy")
    order = np.argsort(index["object_id"].to_numpy())
    table = ztfrep.read_table(house / "stamps.parquet", series=house / "series.parquet")
    for alerts in (packets, table):
        ids, vectors = encoder.encode_objects(alerts)
        assert ids.tolist() == index["object_id"].to_numpy()[order].tolist()
        np.testing.assert_allclose(vectors, expected[order], **CLOSE)
    # Prior detections and upper limits are part of an object.
    _, alone = encoder.encode_objects(ztfrep.read_table(house / "stamps.parquet"))
    assert np.abs(alone - expected[order]).max() > 1e-3


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
    # With 14 alerts the reconstruction is not exact, but better than the mean.
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


def test_pixels_that_are_no_measurement_and_sentinels_are_masked(encoder, packets):
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


def test_the_folder_of_an_autoencoder_alone_has_no_vectors_of_objects(house, packets):
    encoder = ztfrep.load(house / "models/autoencoder", device="cpu")
    assert encoder.encode(packets).shape == (14, 128)
    with pytest.raises(InputError, match="a network of alerts alone"):
        encoder.encode_objects(packets)


def test_a_series_table_without_its_stamps_table_is_refused(house, encoder):
    with pytest.raises(InputError, match=r"open both: read_table\('stamps.parquet', series="):
        encoder.encode(ztfrep.read_table(house / "series.parquet"))


def test_a_missing_path_is_refused_in_one_line(tmp_path):
    for read in (ztfrep.load, ztfrep.read_table, ztfrep.read_packets):
        with pytest.raises(InputError) as error:
            read(tmp_path / "nothing")
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="device: found 'tpu'"):
        ztfrep.load(tmp_path, device="tpu")


def test_importing_the_package_imports_none_of_its_dependencies():
    program = "import sys, ztfrep; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    slow = {"numpy", "pandas", "torch", "pyarrow", "pydantic", "duckdb", "sklearn", "tqdm"}
    assert not slow & set(done.stdout.split())


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distributions(requirements):
    return {re.match(r"[\w-]+", name)[0].lower() for name in requirements}


def test_the_package_declares_what_it_imports_and_dvc_is_an_extra():
    base = distributions(PROJECT["dependencies"])
    extra = distributions(PROJECT["optional-dependencies"]["pipeline"])
    names = {"sklearn": "scikit-learn", "yaml": "pyyaml"}
    imported = set().union(*map(third_party, PACKAGE)) - sys.stdlib_module_names - {"ztfrep"}
    assert {names.get(name, name) for name in imported} <= base | extra
    assert "dvc" in extra - base


# Blocks what a user without the extras does not have; the rest is that of this environment.
BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {extras!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""
USE = """
import json, sys, ztfrep
encoder = ztfrep.load("models")
alerts = ztfrep.read_packets(sys.argv[1])
vectors = encoder.encode(alerts)
ids, objects = encoder.encode_objects(alerts)
print(json.dumps([ztfrep.__file__, vectors.tolist(), ids.tolist(), objects.tolist()]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The python of a fresh environment in which the wheel is installed, without DVC's extras."""
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
    site_packages = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(site_packages))
    extras = distributions(PROJECT["optional-dependencies"]["pipeline"])
    (site / "sitecustomize.py").write_text(BLOCK.format(extras=sorted(extras)))
    return folder / "venv/bin/python"


def use(python, folder, night):
    """Run the program of a user in an empty folder with a model folder alone."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", USE, night], cwd=folder, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_installed_wheel_encodes_packets_with_a_model_folder_alone(
    house, encoder, packets, installed, tmp_path
):
    shutil.copytree(house / "models", tmp_path / "models")
    file, vectors, ids, objects = use(installed, tmp_path, house / "night.tar.gz")
    assert Path(file).is_relative_to(installed.parents[1])
    np.testing.assert_allclose(vectors, encoder.encode(packets), **CLOSE)
    expected_ids, expected = encoder.encode_objects(packets)
    assert ids == expected_ids.tolist()
    np.testing.assert_allclose(objects, expected, **CLOSE)


@pytest.mark.skipif("ZTFREP_REAL_DATA" not in os.environ, reason="no real packets at hand")
def test_an_installed_wheel_encodes_real_packets(house, installed, tmp_path):
    shutil.copytree(house / "models", tmp_path / "models")
    night = Path(os.environ["ZTFREP_REAL_DATA"]) / "real-alerts/ztf_public_2018.tar.gz"
    _, vectors, ids, objects = use(installed, tmp_path, night)
    assert np.isfinite(vectors).all()
    assert np.isfinite(objects).all()
    assert len(ids) == len(objects) <= len(vectors)

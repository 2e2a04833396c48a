"""The pipeline as its user runs it: dvc commands in a clone, on small pickles of one's own."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import ztfrep
from tests.alert_packets import CANDID, alert, archive, image, observation, packet
from tests.drive_server import Drive, serve
from tests.report.small_runs import parse
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.frames import read_frame, refuse_float_identifiers
from ztfrep.data.row_index import read_row_index
from ztfrep.data.vector_files import read_vectors

ROOT = Path(__file__).parents[1]
METRICS = ("autoencoder/metrics", "data", "recurrent/metrics", "series", "stamps")


def blobs(rng, labels, size):
    """Stamps whose width depends on the class, so that there is something to learn."""
    axis = np.arange(size) - size // 2
    width = 1.5 + labels[:, None, None]
    blob = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * width**2))
    stamps = blob[:, None] + 0.1 * rng.normal(size=(len(labels), 3, size, size))
    low = stamps.min(axis=(2, 3), keepdims=True)
    return ((stamps - low) / (stamps.max(axis=(2, 3), keepdims=True) - low)).astype(np.float32)


def write_pickles(folder, seed=0):
    rng = np.random.default_rng(seed)
    splits = {}
    for name, n in (("Train", 60), ("Validation", 25), ("Test", 25)):
        labels = np.arange(n) % 5
        metadata = (
            rng.normal(size=(n, len(ALERCE_FEATURES))) * ALERCE_FEATURES.std + ALERCE_FEATURES.mean
        )
        metadata[:, ALERCE_FEATURES.index("isdiffpos")] = rng.integers(0, 2, n)
        for count in ("ndethist", "ncovhist"):
            metadata[:, ALERCE_FEATURES.index(count)] = rng.integers(1, 20, n)
        splits[name] = {
            "images": np.moveaxis(blobs(rng, labels, 63), 1, -1).copy(),
            "labels": labels,
            "features": ALERCE_FEATURES.zscore(metadata).astype(object),
        }
    labels = np.arange(90) % 3
    detections = np.stack([blobs(rng, labels, 27) for _ in range(3)], axis=1)
    series = {
        "template": detections[:, 0, 1].copy(),
        "science": detections[:, :, 0].copy(),
        "difference": detections[:, :, 2].copy(),
        "labels": labels.astype(float),
    }
    for name, content in (("stamps.pkl", splits), ("series.pk", series)):
        (folder / name).write_bytes(pickle.dumps(content, protocol=4))


class Project:
    """A clone with its own cache and settings, and a shell in it."""

    def __init__(self, folder, home):
        self.folder = folder
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DVC", "GIT"))},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "DVC_SITE_CACHE_DIR": str(home / "site"),
            "DVC_NO_ANALYTICS": "1",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip

    def try_(self, *command):
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )

    def run(self, *command):
        done = self.try_(*command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def json(self, path):
        return json.loads((self.folder / path).read_text())

    def metrics(self):
        return {name: self.json(f"metrics/{name}.json") for name in METRICS}

    def set(self, **changes):
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            *tables, last = key.split("__")
            table = content
            for name in tables:
                table = table[name]
            table[last] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))


def project_files():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("needs a git checkout")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def commit(project, message):
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", message)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A clone that has reproduced the pipeline on small pickles, and committed the result."""
    home = tmp_path_factory.mktemp("home")
    folder = tmp_path_factory.mktemp("clone")
    for name in project_files():
        if name == "dvc.lock" or name.startswith("metrics/"):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    write_pickles(home)
    clone = Project(folder, home)
    clone.set(
        source="local",
        sources__local__stamps=str(home / "stamps.pkl"),
        sources__local__series=str(home / "series.pk"),
        convert__min_test_objects=6,
        autoencoder__invariant__latent_dim=8,
        autoencoder__invariant__dropout=0.1,
        autoencoder__invariant__epochs=2,
        recurrent__temporal__epochs=2,
        evaluate__map_rows=20,
        evaluate__forest_trees=5,
    )
    clone.run("git", "init", "-q", "-b", "main")
    commit(clone, "parameters")
    clone.run("dvc", "repro")
    commit(clone, "results")
    return clone


@pytest.fixture
def clean(project):
    """The project as it was committed, whatever a test did to it before or after."""
    yield project
    project.run("git", "checkout", "-q", ".")
    project.run("dvc", "checkout", "-q")


def test_a_second_reproduction_does_nothing(project):
    assert "Data and pipelines are up to date" in project.run("dvc", "repro")
    assert project.run("git", "status", "--porcelain") == ""


def test_the_encoded_files_have_the_published_format_and_a_row_index(project):
    base = read_vectors(project.folder / "data/encoded/base.npy")
    series = read_vectors(project.folder / "data/encoded/baseRecurrente.npy")
    objects = read_vectors(project.folder / "data/encoded/objects.npy")
    assert [base[s].vectors.shape for s in base] == [(60, 8), (25, 8), (25, 8)]
    assert [series[s].vectors.shape for s in series] == [(54, 3, 8), (18, 3, 8), (18, 3, 8)]
    assert [objects[s].vectors.shape for s in objects] == [(54, 64), (18, 64), (18, 64)]
    assert (base["test"].vectors.dtype, series["test"].vectors.dtype) == (np.float32, np.float64)
    for name, blocks in (("base", base), ("baseRecurrente", series), ("objects", objects)):
        names = read_row_index(project.folder / f"data/encoded/{name}.npy")
        for split, block in blocks.items():
            assert names.loc[names["split"] == split, "label"].tolist() == block.labels.tolist()
            assert np.isfinite(block.vectors).all()
        assert names["object_id"].is_unique


def test_every_number_is_finite_and_every_picture_is_there(project):
    def leaves(content):
        if isinstance(content, dict):
            for value in content.values():
                yield from leaves(value)
        else:
            yield content

    for content in project.metrics().values():
        values = list(leaves(content))
        assert values
        assert all(isinstance(v, int | float) and np.isfinite(v) for v in values)
    pictures = sorted(p.name for p in (project.folder / "data/figures").rglob("*.png"))
    assert {"confusion.png", "loss.png", "methods.png", "reconstruction.png"} <= set(pictures)
    assert (project.folder / "data/report.html").exists()


def test_the_encoder_computes_the_vectors_of_the_pipeline(project):
    encoder = ztfrep.load(project.folder / "data/models", device="cpu")
    for table, vectors in (("stamps", "base"), ("series", "objects")):
        path = project.folder / f"data/encoded/{vectors}.npy"
        expected = np.concatenate([part.vectors for part in read_vectors(path).values()])
        alerts = ztfrep.read_table(project.folder / f"data/parquet/{table}.parquet")
        if table == "stamps":
            np.testing.assert_allclose(encoder.encode(alerts), expected, atol=2e-5, rtol=1e-4)
        else:
            ids, encoded = encoder.encode_objects(alerts)
            row = pd.Series(range(len(ids)), ids)[read_row_index(path)["object_id"]]
            np.testing.assert_allclose(encoded[row], expected, atol=2e-5, rtol=1e-4)


def test_an_experiment_is_the_same_in_the_workspace_in_a_temporary_folder_and_queued(clean):
    change = ("-S", "autoencoder.invariant.latent_dim=6")
    before = clean.metrics()
    clean.run("dvc", "exp", "run", "--name", "workspace", *change)
    changed = clean.metrics()
    diff = json.loads(clean.run("dvc", "metrics", "diff", "--json", "main"))
    assert diff["metrics/stamps.json"]["reconstruction.mse"]["diff"] != 0
    assert changed["stamps"] != before["stamps"]
    clean.run("git", "checkout", "-q", ".")
    clean.run("dvc", "checkout", "-q")
    clean.run("dvc", "exp", "run", "--temp", "--name", "temporary", *change, "-f")
    clean.run("dvc", "exp", "run", "--queue", "--name", "queued", *change, "-S", "seed=7")
    clean.run("dvc", "exp", "run", "--queue", "--name", "other", "-S", "seed=8")
    clean.run("dvc", "queue", "start", "-j", "2")
    clean.run("dvc", "queue", "logs", "queued", "--follow")
    clean.run("dvc", "queue", "logs", "other", "--follow")
    assert clean.metrics() == before
    for name in ("temporary", "queued"):
        clean.run("dvc", "exp", "apply", name)
        assert clean.metrics() == changed
    clean.run("dvc", "exp", "apply", "other")
    assert clean.metrics() != changed


def changed_parameters(project):
    """The first table of the report: the parameters that differ from the last commit."""
    page = parse((project.folder / "data/report.html").read_text())
    (section,) = (s for s in page.all("section") if s.attributes["id"] == "what-differs")
    return [row for table in section.all("table") for row in table.rows()][1:2]


def test_the_report_shows_what_differs_from_the_last_commit_whatever_ran_before(clean):
    head = clean.run("git", "rev-parse", "HEAD").strip()
    clean.run("dvc", "repro", "--force", "--single-item", "report")
    assert changed_parameters(clean) == []
    change = ("-S", "evaluate.knn_neighbours=3")
    clean.run("dvc", "exp", "run", "--temp", "--name", "neighbours", *change)
    clean.run("dvc", "exp", "apply", "neighbours")
    assert changed_parameters(clean) == [["evaluate.knn_neighbours", "15", "3"]]
    try:
        clean.run("git", "commit", "-qam", "neighbours")
        clean.run("git", "checkout", "-q", head, "--", "params.yaml")
        # This run was done before, and the report differs: another commit is the last one.
        clean.run("dvc", "repro")
        assert changed_parameters(clean) == [["evaluate.knn_neighbours", "3", "15"]]
    finally:
        clean.run("git", "reset", "-q", "--hard", head)


def test_push_and_pull_bring_everything_to_a_fresh_clone(project, tmp_path):
    remote = tmp_path / "remote"
    project.run("dvc", "remote", "add", "--local", "--default", "folder", str(remote))
    project.run("dvc", "push", "-q")
    other = Project(tmp_path / "other", tmp_path)
    project.run("git", "clone", "-q", str(project.folder), str(other.folder))
    other.run("dvc", "remote", "add", "--local", "--default", "folder", str(remote))
    other.run("dvc", "pull", "-q")
    for name in ("data/encoded/base.npy", "data/encoded/objects.npy"):
        assert (other.folder / name).read_bytes() == (project.folder / name).read_bytes()
    assert "Data and pipelines are up to date" in other.run("dvc", "repro")


def test_changed_bytes_of_a_local_file_are_noticed(clean, tmp_path):
    home = Path(clean.env["HOME"])
    original = (home / "stamps.pkl").read_bytes()
    try:
        write_pickles(tmp_path, seed=1)
        shutil.copy(tmp_path / "stamps.pkl", home / "stamps.pkl")
        assert "stamps.pkl" in clean.run("dvc", "status")
        clean.run("dvc", "repro", "convert")
        assert clean.json("data/raw/manifest.json")["stamps"]["path"] == str(home / "stamps.pkl")
    finally:
        (home / "stamps.pkl").write_bytes(original)


def test_training_with_few_labels_starts_from_the_released_encoder_unless_told_not_to(clean):
    def origin(*change):
        clean.run("dvc", "exp", "run", "-S", "autoencoder.invariant.latent_dim=128", *change,
                  "train_autoencoder")  # fmt: skip
        return clean.json("data/models/autoencoder/model.json")["start_weights"]

    assert clean.json("data/models/autoencoder/model.json")["start_weights"] == "data/none"
    assert origin() == "released"
    assert origin("-S", "autoencoder.start=nothing") == "data/none"
    assert origin("-S", "autoencoder.released.below=60") == "data/none"


def test_a_change_of_the_recurrent_network_runs_no_stage_of_the_stamps(clean):
    clean.set(recurrent__temporal__hidden=16)
    status = clean.run("dvc", "status")
    assert "train_recurrent" in status
    for stage in ("fetch", "convert", "train_autoencoder", "encode_s", "evaluate_stamps"):
        assert f"{stage}" not in status


@pytest.mark.parametrize(
    ("changes", "stage", "message"),
    [
        ({"autoencoder__size": 3}, "check_params", "autoencoder.size: found an unknown"),
        ({"seed": "7"}, "check_params", "seed: found '7' (str)"),
        ({"sources__local__stamps": "data/none"}, "fetch", "sources.local.stamps: found none"),
        (
            {"autoencoder__invariant__stamp_scaling": "log"},
            "train_autoencoder",
            "autoencoder.invariant.stamp_scaling: found 'log'",
        ),
    ],
)
def test_a_wrong_parameter_is_one_line_and_writes_nothing(clean, changes, stage, message):
    before = clean.run("git", "status", "--porcelain", "--", "metrics")
    clean.set(**changes)
    done = clean.try_("python", "-m", f"stages.{stage}")
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert clean.run("git", "status", "--porcelain", "--", "metrics") == before


def test_a_run_that_diverges_is_one_line_and_leaves_no_model(clean):
    clean.set(autoencoder__invariant__optimizer="sgd", autoencoder__invariant__learning_rate=1000.0)
    done = clean.try_("dvc", "repro", "train_autoencoder")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "training that diverges" in lines[0]
    assert "Traceback" not in done.stderr
    assert not (clean.folder / "data/models/autoencoder/model.json").exists()
    curves = (clean.folder / "metrics/autoencoder").rglob("*.tsv")
    assert not any("nan" in path.read_text() for path in curves)


def test_a_broken_pickle_stops_the_pipeline_and_the_tables_remain(clean, tmp_path):
    broken = tmp_path / "broken.pkl"
    broken.write_bytes((Path(clean.env["HOME"]) / "stamps.pkl").read_bytes()[:-1000])
    clean.set(sources__local__stamps=str(broken))
    done = clean.try_("dvc", "repro")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert str(broken) in lines[0]
    assert not (clean.folder / "data/parquet/stamps.parquet").exists()


def write_archive(folder, name, objects, seed):
    """An archive of alerts of three classes and of none, some objects with several alerts."""
    rng = np.random.default_rng(seed)
    files = {}
    for i in range(objects):
        for visit in range(1 + i % 3):
            candid = CANDID + 1000 * seed + 10 * i + visit
            stamps = [image(100 * p) for p in blobs(rng, np.array([i % 4]), 63)[0]]
            content = alert(
                f"ZTF{seed}{i:04d}",
                candid=candid,
                jd=2459000.5 + visit,
                stamps=stamps,
                magpsf=float(17 + i % 4),
                prior=[observation(2458990.5), observation(2458991.5, candid=candid + 5)],
            )
            files[f"{candid}.avro"] = packet(content)
    return archive(folder / name, files)


def assert_every_vector_of_a_series_is_its_alerts_own(encoded):
    """An object's vectors are those of its alerts, in time order."""
    base, series = read_vectors(encoded / "base.npy"), read_vectors(encoded / "baseRecurrente.npy")
    alerts = read_row_index(encoded / "base.npy").sort_values("detection")
    of_object = dict(list(alerts.groupby("object_id")))
    objects = read_row_index(encoded / "baseRecurrente.npy")
    assert set(objects["object_id"]) == set(of_object)
    for row in objects.itertuples():
        own_alerts = of_object[row.object_id]
        assert (own_alerts["split"] == row.split).all()
        steps = series[row.split].vectors[row.row, : row.length]
        np.testing.assert_array_equal(steps, base[row.split].vectors[own_alerts["row"]])


def assert_identifiers_are_exact(folder):
    """No table of a folder has a float where it names an alert."""
    tables = sorted(folder.rglob("*.parquet"))
    assert {path.stem for path in tables} >= {"stamps", "series", "base", "observations", "objects"}
    for path in tables:
        schema = pq.read_schema(path)
        named = [field for field in schema if field.name.endswith(("candid", "_id"))]
        assert not any(pa.types.is_floating(field.type) for field in named), path
        refuse_float_identifiers(
            read_frame(path) if "stamps" not in schema.names else AlertTable(path).identity()
        )


def test_alert_packets_go_through_the_whole_pipeline(clean, tmp_path):
    nights = tmp_path / "nights"
    nights.mkdir()
    first = write_archive(nights, "ztf_public_1.tar.gz", 48, seed=1)
    labels = tmp_path / "labels.csv"
    names = [f"ZTF1{i:04d},{('AGN', 'SN', 'VS', 'kilonova')[i % 4]}" for i in range(48)]
    labels.write_text("\n".join(["object_id,kind", *names]))
    clean.set(
        source="alerts",
        sources__alerts__path=str(nights),
        sources__alerts__labels=str(labels),
        sources__alerts__label_column="kind",
        convert__min_test_objects=3,
    )
    clean.run("dvc", "repro")
    counts = clean.json("metrics/data.json")
    assert counts["packets"]["read"] == counts["packets"]["written"] == 96
    assert counts["labels"]["excluded_classes"] == 12
    base = read_vectors(clean.folder / "data/encoded/base.npy")
    series = read_vectors(clean.folder / "data/encoded/baseRecurrente.npy")
    assert sum(len(block.labels) for block in base.values()) == 96
    assert series["train"].vectors.shape[1:] == (3, 8)
    names = read_row_index(clean.folder / "data/encoded/baseRecurrente.npy")
    assert sorted(names["length"].unique()) == [1, 2, 3]
    assert (names["label"] == -1).sum() == 12
    for split, block in series.items():
        lengths = names.loc[names["split"] == split, "length"].to_numpy()
        padding = np.arange(3) >= lengths[:, None]
        assert (block.vectors[padding] == 0).all()
        assert (block.vectors[~padding] != 0).any(axis=1).all()
    assert_every_vector_of_a_series_is_its_alerts_own(clean.folder / "data/encoded")
    assert_identifiers_are_exact(clean.folder / "data")
    metrics = clean.json("metrics/stamps.json")
    assert metrics["alerts"] == (base["test"].labels >= 0).sum() > 0
    # The magnitude depends on the class: a forest on the right rows predicts it.
    assert metrics["forest_on_features"]["accuracy"] > 0.9
    assert "Data and pipelines are up to date" in clean.run("dvc", "repro")

    # An archive that is added, changed or removed is noticed.
    second = write_archive(nights, "ztf_public_2.tar.gz", 3, seed=2)
    clean.run("dvc", "repro", "convert")
    assert clean.json("metrics/data.json")["packets"]["read"] == 96 + 6
    second.write_bytes(second.read_bytes()[:-100])
    done = clean.try_("dvc", "repro", "convert")
    assert done.returncode != 0
    assert "a broken archive, ztf_public_2.tar.gz: broken at byte" in done.stderr
    assert "sources.alerts.broken_archives" in done.stderr
    clean.set(sources__alerts__broken_archives="keep", sources__alerts__max_bad_fraction=0.001)
    done = clean.try_("dvc", "repro", "convert")
    assert done.returncode != 0
    assert "1 archive" in done.stderr
    assert "sources.alerts.max_bad_fraction" in done.stderr
    clean.set(sources__alerts__max_bad_fraction=0.2)
    clean.run("dvc", "repro", "convert")
    assert clean.json("metrics/data.json")["packets"]["bad_archive"] == 1
    first.unlink()
    assert str(nights) in clean.run("dvc", "status", "fetch")
    clean.run("dvc", "repro", "fetch")
    assert len(clean.json("data/raw/manifest.json")["packets"]) == 1


def test_alerts_without_labels_are_used_for_training_and_not_classified(clean, tmp_path):
    write_archive(tmp_path, "ztf_public_1.tar.gz", 30, seed=1)
    clean.set(source="alerts", sources__alerts__path=str(tmp_path / "ztf_public_1.tar.gz"))
    out = clean.run("dvc", "repro")
    assert "the network is not trained" in out
    for name in ("stamps", "series"):
        metrics = clean.json(f"metrics/{name}.json")
        assert "linear_probe" not in metrics
        assert "network" not in metrics
    assert clean.json("metrics/stamps.json")["reconstruction"]["mse"] > 0
    block = read_vectors(clean.folder / "data/encoded/base.npy")["train"]
    assert (block.labels == -1).all()
    assert (clean.folder / "data/figures/stamps/reconstruction.png").exists()


def test_too_few_objects_to_split_are_refused_and_leave_no_table(clean, tmp_path):
    write_archive(tmp_path, "ztf_public_1.tar.gz", 2, seed=1)
    clean.set(source="alerts", sources__alerts__path=str(tmp_path))
    done = clean.try_("dvc", "repro", "convert")
    assert "2 train objects, 0 validation objects" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (clean.folder / "data/parquet/stamps.parquet").exists()


def published(path, shapes, labels, dtype):
    """Write the published blocks: noise, and a high coordinate for each row's class."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for shape, label in zip(shapes, labels, strict=True):
            offset = 5 * np.eye(shape[-1])[label].reshape(len(label), *[1] * (len(shape) - 2), -1)
            np.save(file, (rng.normal(size=shape) + offset).astype(dtype))
            np.save(file, label.astype(float))
    return path.read_bytes()


def test_drive_is_downloaded_once_for_every_kind_of_experiment(clean, tmp_path):
    home = Path(clean.env["HOME"])
    first = pickle.loads((home / "stamps.pkl").read_bytes())
    labels = [first[name]["labels"] for name in ("Train", "Validation", "Test")]
    of_series = [np.arange(n) % 3 for n in (54, 18, 18)]
    base = published(tmp_path / "base.npy", [(len(x), 6) for x in labels], labels, "f4")
    series = published(
        tmp_path / "series.npy", [(len(x), 3, 6) for x in of_series], of_series, "f8"
    )
    params = yaml.safe_load((clean.folder / "params.yaml").read_text())["sources"]["drive"]
    files = {
        "1a" * 14: ("td_ztf_stamp_17_06_20-002.pkl", (home / "stamps.pkl").read_bytes()),
        "1b" * 14: ("recurrent_dataset-001.pk", (home / "series.pk").read_bytes()),
        "1c" * 14: ("base.npy", base),
        "1d" * 14: ("baseRecurrente.npy", series),
    }
    drive = Drive(params["pickles"], files)
    server = serve(drive)
    # Every process of the pipeline sends the requests for Google to the server.
    (tmp_path / "sitecustomize.py").write_text(
        "import requests\n"
        "from tests.drive_server import patched_send\n"
        f"requests.adapters.HTTPAdapter.send = patched_send({drive.url!r})\n"
    )
    env, clean.env = clean.env, {**clean.env, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    change = ("-S", "source=drive", "-S", "sources.drive.encoded=true")
    try:
        clean.run("dvc", "exp", "run", *change, "-S", "evaluate.encodings=published")
        n_requests = len(drive.requests)
        assert n_requests > 4
        stamps, objects = clean.json("metrics/stamps.json"), clean.json("metrics/series.json")
        # The vectors separate the classes, as long as the two are not mixed up.
        assert stamps["linear_probe"]["accuracy"] > 0.9
        assert objects["mean_alert_linear_probe"]["accuracy"] > 0.9
        assert "classifier_head" not in stamps
        assert "network" not in objects
        raw = clean.folder / "data/raw/td_ztf_stamp_17_06_20-002.pkl"
        assert raw.read_bytes() == (home / "stamps.pkl").read_bytes()
        clean.run("git", "checkout", "-q", ".")
        clean.run("dvc", "exp", "run", "--temp", *change, "-S", "seed=9", "fetch")
        assert len(drive.requests) == n_requests
    finally:
        clean.env = env
        server.shutdown()
        server.server_close()


def test_published_encodings_without_a_download_are_refused_with_a_remedy(clean):
    clean.set(evaluate__encodings="published")
    done = clean.try_("dvc", "repro", "evaluate_stamps")
    assert "sources.drive.encoded=true" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(
    "ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA names no folder of real pickles"
)
def test_real_stamps_go_through_the_whole_pipeline(clean):
    real = Path(os.environ["ZTFREP_REAL_DATA"]) / "real-pickles" / "td_ztf_stamp_17_06_20.pkl"
    clean.set(sources__local__stamps=str(real.resolve()), autoencoder__invariant__epochs=1)
    out = clean.run("dvc", "repro")
    assert "z-scored by other statistics than the published ones" in out
    counts = clean.json("metrics/data.json")["stamps"]["train"]
    assert (counts["read"], counts["written"]) == (1100, 544)
    base = read_vectors(clean.folder / "data/encoded/base.npy")
    assert [len(block.labels) for block in base.values()] == [544, 99, 83]
    assert clean.json("metrics/stamps.json")["forest_on_features"]["accuracy"] > 0.5


@pytest.mark.skipif(
    "ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA names no folder of real alerts"
)
def test_every_real_alert_has_its_own_vector_in_its_series(clean):
    real = Path(os.environ["ZTFREP_REAL_DATA"]).resolve() / "real-alerts"
    clean.set(
        source="alerts",
        sources__alerts__path=str(real),
        sources__alerts__labels=str(real / "index.csv"),
        sources__alerts__label_column="weak_class",
        autoencoder__invariant__epochs=0,
    )
    clean.run("dvc", "repro", "encode_series")
    encoded = clean.folder / "data/encoded"
    assert_every_vector_of_a_series_is_its_alerts_own(encoded)
    index = pd.read_csv(real / "index.csv", dtype={"candid": "int64"}).set_index("candid")
    names = read_row_index(encoded / "base.npy").set_index("candid")
    assert (index["object_id"][names.index] == names["object_id"]).all()
    assert len(names) == len(index) == 2175


def test_start_weights_have_their_own_feature_scale(clean, tmp_path):
    from safetensors.numpy import load_file

    from ztfrep.encoders.model_folder import load_alert_network, save_model

    folder = clean.folder / "data/models/autoencoder"
    model, card = load_alert_network(folder)
    mean = [value + 1 for value in card.features.mean]
    scale = card.features.model_copy(update={"mean": mean})
    save_model(tmp_path / "earlier", model, card.model_copy(update={"features": scale}))
    earlier = tmp_path / "earlier/weights.safetensors"
    clean.set(autoencoder__weights=str(earlier), autoencoder__invariant__epochs=0)
    clean.run("dvc", "repro", "train_autoencoder")
    assert clean.json("data/models/autoencoder/model.json")["features"] == scale.model_dump()
    expected, loaded = load_file(earlier), load_file(folder / "weights.safetensors")
    assert all(np.array_equal(loaded[name], expected[name]) for name in expected)


def test_published_weights_encode_without_training(clean, tmp_path):
    import torch

    from ztfrep.models.alert import get_alert_network
    from ztfrep.models.alert.preprocessing import FeatureScaling

    network = get_alert_network("published")
    values = yaml.safe_load((clean.folder / "params.yaml").read_text())["autoencoder"]["published"]
    config = network.Config.model_validate(values)
    model = network(config, classes=5, feature_scaling=FeatureScaling.none())
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    clean.set(
        autoencoder__architecture="published",
        autoencoder__weights=str(tmp_path / "weights.pth"),
        autoencoder__published__epochs=0,
    )
    clean.run("dvc", "repro", "encode_stamps")
    card = clean.json("data/models/autoencoder/model.json")
    assert (card["epochs"], card["best_epoch"]) == (0, 0)
    block = read_vectors(clean.folder / "data/encoded/base.npy")["test"]
    stamps = pickle.loads((Path(clean.env["HOME"]) / "stamps.pkl").read_bytes())["Test"]["images"]
    inputs = model.preprocess(np.moveaxis(stamps, -1, 1), np.full((25, 26), np.nan), "none")
    with torch.inference_mode():
        expected = model.eval().encode(inputs).numpy()
    np.testing.assert_allclose(block.vectors, expected, rtol=1e-4, atol=1e-5)

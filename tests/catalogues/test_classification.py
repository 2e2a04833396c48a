"""Classification of catalogues and of packets, by the library and by the command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.catalogues.classified_catalogues import CANDID, save_model_folder, write
from tests.test_api import write_archive
from tests.test_cli import run
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.classification import ModelClassifier, classify
from ztfrep.catalogues.classified_files import classify_paths, train_probe
from ztfrep.catalogues.encoding import encode_paths
from ztfrep.data.frames import read_frame
from ztfrep.encoders.encoder import load
from ztfrep.encoders.reference_files import REFERENCE
from ztfrep.errors import InputError

N = 90


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def encoder(model):
    return save_model_folder(model)


@pytest.fixture(scope="module")
def alerts(encoder, tmp_path_factory):
    return write(tmp_path_factory.mktemp("alerts") / "alerts.parquet", encoder, n=N)


@pytest.fixture(scope="module")
def labels(alerts, tmp_path_factory):
    catalogue, truth = alerts
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    candids = catalogue.table["candid"]
    rows = [f"{candid},kind {k}" for candid, k in zip(candids, truth, strict=True)]
    path.write_text("\n".join(["candid,class", *rows]))
    return path


def test_a_row_has_its_most_probable_class_and_its_set(alerts, encoder):
    catalogue, _ = alerts
    classifier = ModelClassifier.of(encoder, catalogue)
    result = classify(catalogue, classifier, coverage=0.7)
    columns = catalogue.info.probability_columns
    table, probabilities = result.table, catalogue.table[columns].to_numpy()
    names = ["object_id", "candid", "mjd", "fid", "predicted_class", "confidence", "prediction_set"]
    assert table.columns.tolist() == [*names, *columns]
    assert table["predicted_class"].tolist() == catalogue.table["predicted_class"].tolist()
    np.testing.assert_allclose(table["confidence"], probabilities.max(axis=1), atol=1e-6)
    expected = encoder.reference.prediction_sets(probabilities, 0.7)
    for text, members, row in zip(table["prediction_set"], expected, probabilities, strict=True):
        shown = text.split("|") if text else []
        assert set(shown) == set(np.array(encoder.classes)[members])
        order = [row[encoder.classes.index(name)] for name in shown]
        assert order == sorted(order, reverse=True)
    assert "" in table["prediction_set"].tolist()
    assert result.size_counts()[0] == (table["prediction_set"] == "").sum()
    assert sum(count for count, _ in result.counts().values()) == N
    wider = classify(catalogue, classifier, coverage=0.9)
    assert (wider.sizes >= result.sizes).all() and (wider.sizes > result.sizes).any()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_candids_and_times_are_exact_in_the_table(alerts, encoder, tmp_path, suffix):
    catalogue, _ = alerts
    classify(catalogue, ModelClassifier.of(encoder, catalogue)).write(tmp_path / f"c{suffix}")
    path = tmp_path / f"c{suffix}"
    read = read_frame(path) if suffix == ".parquet" else pd.read_csv(path, keep_default_na=False)
    assert read["candid"].tolist() == (CANDID + np.arange(N)).tolist()
    assert read["mjd"].tolist() == catalogue.table["mjd"].tolist()
    assert [path.name for path in tmp_path.iterdir()] == [f"c{suffix}"]


def test_objects_have_the_classes_of_objects(encoder, tmp_path):
    catalogue, _ = write(tmp_path / "objects.parquet", encoder, rows=OBJECTS, n=8)
    result = classify(catalogue, ModelClassifier.of(encoder, catalogue))
    assert result.rows == OBJECTS and result.classes == tuple(encoder.object_classes)
    assert "candid" not in result.table


def test_unusable_input_is_refused_in_one_line(alerts, encoder, model, tmp_path):
    catalogue, _ = alerts
    classifier = ModelClassifier.of(encoder, catalogue)
    for coverage in (0, 1, -0.5, 90, np.nan):
        with pytest.raises(InputError, match="coverage: found"):
            classify(catalogue, classifier, coverage=coverage)
    with pytest.raises(InputError, match=r"suffix '\.txt'; expected \.csv or \.parquet"):
        classify_paths(catalogue.path, model, tmp_path / "c.txt")
    other = save_model_folder(tmp_path / "other")
    other.checksum = "another"
    with pytest.raises(InputError, match="found a catalogue of another model"):
        ModelClassifier.of(other, catalogue)
    (tmp_path / "other/autoencoder" / REFERENCE).unlink()
    with pytest.raises(InputError, match="found no reference"):
        classify_paths(catalogue.path, tmp_path / "other", tmp_path / "c.csv")
    unknown, _ = write(
        tmp_path / "nan.parquet", encoder, n=3, probability_SN=np.array([0.1, np.nan, 0.2])
    )
    with pytest.raises(InputError, match="rows without class probabilities"):
        classify(unknown, classifier)
    with pytest.raises(InputError, match=r"expected one of objects; .*alerts\.objects\.parquet"):
        classify_paths(catalogue.path, model, tmp_path / "c.csv", objects=True)
    with pytest.raises(InputError, match="no such file"):
        classify_paths(tmp_path / "nothing.parquet", model, tmp_path / "c.csv")
    assert not (tmp_path / "c.csv").exists()


def test_packets_are_classified_as_their_catalogue_is(encoder, model, tmp_path):
    archive = write_archive(tmp_path / "night.tar.gz")
    encode_paths(encoder, archive, tmp_path / "v.parquet")
    for objects, name in ((False, "v.parquet"), (True, "v.objects.parquet")):
        direct = classify_paths(archive, model, tmp_path / "a.csv", objects=objects)
        classify_paths(tmp_path / name, model, tmp_path / "b.csv")
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
        assert len(direct.table) == (9 if objects else 14)


def test_a_probe_is_trained_and_used_by_the_command(
    alerts, labels, model, tmp_path, monkeypatch, capsys
):
    catalogue, truth = alerts
    options = ("--model", model)
    code = run(
        monkeypatch, "classify", catalogue.path, *options, "--labels", labels, "--name", "kinds"
    )
    assert code == 0
    out = capsys.readouterr().out
    assert f"{N} rows of labels = {N} matched" in out
    assert "majority class" in out and "kind 2" in out
    assert str(model / "probes/kinds.safetensors") in out
    path = tmp_path / "c.csv"
    assert run(
        monkeypatch, "classify", catalogue.path, *options, "--probe", "kinds", "--out", path
    ) == 0  # fmt: skip
    out = capsys.readouterr().out
    assert f"{N} alerts, mean confidence" in out and "in a prediction set of coverage 0.9" in out
    table = pd.read_csv(path)
    assert (table["predicted_class"] == [f"kind {k}" for k in truth]).mean() > 0.9
    assert "probability_kind 1" in table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--coverage", "2"], "coverage: found 2"),
        (["--probe", "../x"], "the name of the probe: found '../x'"),
        (["--probe", "nothing"], "no probe 'nothing' among"),
        (["--name", "x"], "--name without --labels"),
        (["--labels", "LABELS"], "--labels without --name"),
        (["--labels", "LABELS", "--name", "x", "--probe", "y"], "--labels with --probe"),
        (["--labels", "LABELS", "--name", "../x"], "the name of the probe"),
        (["--labels", "LABELS", "--name", "x", "--label-column", "z"], "columns candid, class"),
    ],
)
def test_wrong_options_are_one_line(alerts, labels, model, monkeypatch, options, message):
    options = [str(labels) if option == "LABELS" else option for option in options]
    code = run(monkeypatch, "classify", alerts[0].path, "--model", model, *options)
    assert code.startswith("error: ") and message in code and "\n" not in code


def test_a_class_map_renames_the_classes_and_leaves_others_out(alerts, labels, model, tmp_path):
    (tmp_path / "map.yaml").write_text('{first: ["kind 0"], "other kind": ["KIND 1"]}')
    catalogue, truth = alerts
    probe, user_labels, _ = train_probe(
        catalogue.path, labels, "mapped", model, class_map=tmp_path / "map.yaml"
    )
    assert set(probe.classes) == {"first", "other kind"}
    assert probe.figures["rows"] == (truth < 2).sum()
    assert user_labels.counts["rows"] == N


def test_probes_of_the_released_encoder_are_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalogue, truth = write(tmp_path / "a.parquet", load(), n=60, length=128)
    rows = [f"{c},kind {k}" for c, k in zip(catalogue.table["candid"], truth, strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join(["candid,class", *rows]))
    _, _, path = train_probe(catalogue.path, tmp_path / "mine.csv", "mine", None)
    assert path == Path("probes/mine.safetensors")
    result = classify_paths(catalogue.path, None, tmp_path / "c.csv", probe="mine")
    assert (result.table["predicted_class"] == [f"kind {k}" for k in truth]).mean() > 0.9


def test_a_probe_is_not_saved_beside_another_model(alerts, labels, tmp_path):
    encoder = save_model_folder(tmp_path / "m")
    encoder.checksum = "another"
    catalogue, _ = write(tmp_path / "a.parquet", encoder, n=20)
    with pytest.raises(InputError, match="another model"):
        train_probe(catalogue.path, labels, "kinds", tmp_path / "m")
    assert not (tmp_path / "m/probes").exists()

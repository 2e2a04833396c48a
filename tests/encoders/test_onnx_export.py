"""Encoders as ONNX files: the same vectors and classes as torch's, by ONNX Runtime alone."""

import importlib
import importlib.metadata
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open

import ztfrep
from tests.model_folders import ALERT_FOLDERS, FOLDERS, OBJECT_FOLDERS, save
from ztfrep import cli
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES, SENTINEL
from ztfrep.encoders import onnx_export
from ztfrep.encoders.encoder import load
from ztfrep.encoders.model_folder import WEIGHTS
from ztfrep.encoders.onnx_export import (
    CPU,
    TOLERANCE,
    export_graph,
    export_onnx,
    open_session,
    read_onnx_metadata,
)
from ztfrep.encoders.onnx_graphs import AlertGraph, ObjectGraph, Results
from ztfrep.errors import InputError
from ztfrep.models.alert.base import AlertInput

ROWS, LENGTHS = (1, 2, 7, 64), (1, 2, 5, 40)
every_alert_network = pytest.mark.parametrize("name", ALERT_FOLDERS)
every_object_network = pytest.mark.parametrize("name", OBJECT_FOLDERS)
# Below some of the lengths.
MAX_OBSERVATIONS = 30


def save_pair(folder, alerts, objects):
    save(folder / "autoencoder", alerts)
    save(folder / "recurrent", objects, max_observations=MAX_OBSERVATIONS)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Export a network by the name of its folder, each once: encoder, graph and file."""

    @cache
    def export(name):
        folder = tmp_path_factory.mktemp("models")
        if name in ALERT_FOLDERS:
            save(folder / "autoencoder", name)
            encoder = load(folder, device="cpu")
            graph = AlertGraph(encoder.network, encoder.classes, encoder.reference.temperature)
        else:
            encoder = load(save_pair(folder, "alert-published", name), device="cpu")
            temperature = encoder.object_reference.temperature
            graph = ObjectGraph(encoder.object_network, encoder.object_classes, 6, temperature)
        return encoder, graph, export_graph(graph, folder / graph.file_name)

    return export


@pytest.fixture
def fast(exported, monkeypatch):
    """Make the export write the files of `exported`, which have the same weights."""

    names = {AlertGraph: "alert-published", ObjectGraph: "object-temporal-gru"}
    # Exported before the export is replaced.
    files = {graph: exported(name)[2].path for graph, name in names.items()}

    def write(graph, path):
        path.write_bytes(files[type(graph)].read_bytes())

    monkeypatch.setattr(onnx_export, "_write", write)


def run(path, inputs):
    return open_session(path).run(["vector", "probabilities"], inputs)


def metadata_columns(metadata):
    return dict(zip(ALERCE_FEATURES.names, metadata.T, strict=True))


def raw_alerts(n, seed=0):
    """Return stamps with masked pixels and metadata with missing values, in counts and units."""
    generator = np.random.default_rng(seed)
    stamps = generator.normal(300, 20, (n, 3, 63, 63)).astype(np.float32)
    stamps[:, :, 30:33, 29:33] += generator.uniform(50, 3000, (n, 3, 1, 1)).astype(np.float32)
    stamps[generator.random(stamps.shape) < 0.01] = np.nan
    metadata = generator.uniform(-2, 20, (n, len(ALERCE_FEATURES)))
    metadata[generator.random(metadata.shape) < 0.2] = np.nan
    return stamps, metadata


@every_alert_network
def test_alerts_have_the_vectors_and_classes_of_torch(exported, name):
    encoder, _, file = exported(name)
    assert file.provider == CPU
    assert 0 < file.difference < TOLERANCE
    for rows in ROWS:
        stamps, metadata = raw_alerts(rows, seed=rows)
        vectors, probabilities = run(file.path, {"stamps": stamps, "metadata": metadata})
        source = Alerts.from_arrays(stamps, metadata_columns(metadata))
        np.testing.assert_allclose(vectors, encoder.encode(source), rtol=0, atol=TOLERANCE)
        expected = encoder.classify(source)[list(CLASSES)]
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=TOLERANCE)
        assert vectors.dtype == probabilities.dtype == np.float32


@every_alert_network
def test_odd_stamps_and_metadata_have_the_vectors_of_torch(exported, name):
    encoder, _, file = exported(name)
    stamps, metadata = raw_alerts(8)
    stamps[0] = np.nan
    stamps[1, 1], stamps[2], stamps[3] = -3.4e38, 7, 0
    stamps[4, 0, 31, 31], stamps[5, :, 21:42, 21:42] = np.inf, np.nan
    metadata[0], metadata[4], metadata[6] = np.nan, SENTINEL, np.inf
    vectors, _ = run(file.path, {"stamps": stamps, "metadata": metadata})
    expected = encoder.encode_stamps(stamps, metadata_columns(metadata))
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=TOLERANCE)
    assert np.isfinite(vectors).all()


@every_object_network
def test_objects_have_the_vectors_and_classes_of_torch(exported, name):
    _, graph, file = exported(name)
    for rows in ROWS:
        for steps in LENGTHS:
            inputs = graph.random_inputs(rows, steps)
            expected = graph.reference(inputs)
            assert expected.vectors.shape == (rows, 8)
            for values, wanted in zip(run(file.path, inputs), expected, strict=True):
                np.testing.assert_allclose(values, wanted, rtol=0, atol=TOLERANCE)


@every_object_network
def test_padding_changes_no_vector_of_an_object(exported, name):
    _, graph, file = exported(name)
    inputs = graph.random_inputs(3, 5)
    padded = {"lengths": inputs["lengths"]}
    for name, values in inputs.items():
        if name != "lengths":
            filler = np.full((3, 4, *values.shape[2:]), np.nan).astype(values.dtype)
            padded[name] = np.concatenate([values, filler], axis=1)
    for values, wanted in zip(run(file.path, padded), run(file.path, inputs), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-6)


def test_vectors_of_alerts_are_the_input_of_the_network_of_objects(exported):
    """Two alerts of one object, without anything but the two files."""
    encoder, _, objects_file = exported("object-temporal-gru")
    _, _, alerts_file = exported("alert-published")
    stamps, metadata = raw_alerts(2)
    alerts = Alerts.from_arrays(stamps, metadata_columns(metadata))
    identity = alerts.identity.assign(object_id="a", mjd=[58_000.0, 58_003.5], fid=[1, 2])
    alerts = Alerts(identity, alerts.stamps, alerts.metadata)
    vectors, _ = run(alerts_file.path, {"stamps": stamps, "metadata": metadata})
    columns = {
        name: alerts.metadata[None, :, ALERCE_FEATURES.index(name)]
        for name in ("magpsf", "sigmapsf", "diffmaglim")
    }
    inputs = {
        "vectors": vectors[None],
        "vector_mask": np.ones((1, 2), bool),
        "mjd": identity[["mjd"]].to_numpy().T,
        "fid": identity[["fid"]].to_numpy(np.float64).T,
        **columns,
        "lengths": np.array([2]),
    }
    _, expected = encoder.encode_objects(alerts)
    np.testing.assert_allclose(run(objects_file.path, inputs)[0], expected, rtol=0, atol=TOLERANCE)


@every_object_network
def test_an_object_without_observations_has_no_vector(exported, name):
    _, graph, file = exported(name)
    inputs = graph.random_inputs(2, 5)
    inputs["lengths"] = np.array([5, 0])
    vectors, probabilities = run(file.path, inputs)
    assert np.isfinite(vectors[0]).all()
    assert np.isnan(vectors[1]).all()
    assert np.isnan(probabilities[1]).all()


@pytest.mark.parametrize("name", ["alert-invariant", "object-temporal-gru"])
def test_a_file_says_what_it_is(exported, name):
    _, _, file = exported(name)
    content = read_onnx_metadata(file.path)
    assert content["ztfrep_version"] == ztfrep.__version__
    assert content["architecture"] == name.split("-")[1]
    assert content["classes"] == list(CLASSES)
    folder = "autoencoder" if name in ALERT_FOLDERS else "recurrent"
    with safe_open(file.path.parent / folder / WEIGHTS, framework="pt") as weights:
        (checksums,) = weights.metadata().values()
    assert content["weights_sha256"] in checksums.split()


def test_a_file_says_what_it_reads(exported):
    alerts = read_onnx_metadata(exported("alert-invariant")[2].path)
    objects = read_onnx_metadata(exported("object-temporal-gru")[2].path)
    assert alerts["features"] == list(ALERCE_FEATURES.names)
    assert alerts["channels"] == ["science", "template", "difference"]
    assert (alerts["stamp_size"], alerts["vector_length"]) == ("63", "6")
    assert (objects["input_vector_length"], objects["vector_length"]) == ("6", "8")
    assert objects["max_observations"] == str(MAX_OBSERVATIONS)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_is_valid_and_has_dynamic_axes_and_no_path_of_this_machine(exported, name):
    _, graph, file = exported(name)
    model = onnx.load(file.path)
    onnx.checker.check_model(model, full_check=True)
    for value in [*model.graph.input, *model.graph.output]:
        axes = [axis.dim_param for axis in value.type.tensor_type.shape.dim if axis.dim_param]
        assert axes == list(graph.inputs.get(value.name, ["n"])), value.name
    assert b".py" not in file.path.read_bytes()


def test_the_network_of_the_encoder_stays_as_it_is(exported):
    encoder, *_ = exported("object-temporal-gru")
    assert not encoder.object_network.training
    assert isinstance(encoder.object_network.cell, torch.nn.GRU)
    stamps, metadata = raw_alerts(2)
    alerts = Alerts.from_arrays(stamps, metadata_columns(metadata))
    assert np.isfinite(encoder.encode_objects(alerts)[1]).all()


def test_both_networks_are_written_into_the_folder(fast, tmp_path):
    encoder = load(save_pair(tmp_path, "alert-published", "object-temporal-gru"), device="cpu")
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/other.txt").write_text("mine")
    (tmp_path / "onnx/object_encoder.onnx").write_text("an earlier export")
    files = export_onnx(encoder, str(tmp_path / "onnx"))
    names = ["alert_encoder.onnx", "object_encoder.onnx"]
    assert [file.path for file in files] == [tmp_path / "onnx" / name for name in names]
    found = sorted(path.name for path in (tmp_path / "onnx").iterdir())
    assert found == [*names, "other.txt"]
    assert all(read_onnx_metadata(file.path)["classes"] for file in files)


@pytest.fixture
def alone(tmp_path):
    """An encoder of alerts alone."""
    save(tmp_path / "model", "alert-published")
    return load(tmp_path / "model", device="cpu")


def assert_nothing_written(folder):
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_model_without_a_network_of_objects_has_one_file(fast, alone, tmp_path):
    (file,) = export_onnx(alone, tmp_path / "onnx")
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == [file.path.name]
    other = tmp_path / "onnx/object_encoder.onnx"
    other.write_bytes(b"of another model")
    before = file.path.stat()
    with pytest.raises(InputError, match="found a network of objects of another"):
        export_onnx(alone, tmp_path / "onnx")
    assert file.path.stat() == before


def test_a_folder_that_is_a_file_is_refused(alone, tmp_path):
    (tmp_path / "onnx").write_text("mine")
    with pytest.raises(InputError, match=r"onnx: found a file; expected a folder"):
        export_onnx(alone, tmp_path / "onnx")
    assert (tmp_path / "onnx").read_text() == "mine"


def test_an_unknown_provider_is_refused(alone, tmp_path):
    with pytest.raises(InputError, match="provider: found 'GPU'; expected .*CPUExecutionProvider"):
        export_onnx(alone, tmp_path / "onnx", "GPU")
    assert_nothing_written(tmp_path / "onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_refused_with_the_command_that_installs_it(
    alone, tmp_path, monkeypatch, package
):
    original = importlib.import_module

    def without(name, *arguments):
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", without)
    message = rf'found no package {package}; .* pip install "ztfrep\[onnx\]"'
    with pytest.raises(InputError, match=message):
        export_onnx(alone, tmp_path / "onnx")
    assert_nothing_written(tmp_path / "onnx")


def test_an_old_onnxscript_is_refused(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.7.1.dev20260101")
    with pytest.raises(InputError, match=r"onnxscript 0\.7\.1.* expected 0\.7\.2 or later"):
        export_onnx(alone, tmp_path / "onnx")


@pytest.mark.parametrize("number", [1e-2, np.nan])
@pytest.mark.parametrize("part", Results._fields)
def test_a_file_that_differs_from_torch_is_refused_and_the_old_one_stays(
    fast, tmp_path, monkeypatch, part, number
):
    encoder = load(save_pair(tmp_path, "alert-published", "object-temporal-gru"), device="cpu")
    folder = tmp_path / "onnx"
    folder.mkdir()
    (folder / "alert_encoder.onnx").write_text("an earlier export")
    reference = ObjectGraph.reference

    def different(graph, inputs):
        results = reference(graph, inputs)
        return results._replace(**{part: getattr(results, part) + number})

    monkeypatch.setattr(ObjectGraph, "reference", different)
    with pytest.raises(InputError, match="object_encoder.onnx: found a difference of .* torch"):
        export_onnx(encoder, folder)
    assert (folder / "alert_encoder.onnx").read_text() == "an earlier export"
    assert [path.name for path in folder.iterdir()] == ["alert_encoder.onnx"]


def test_a_network_for_a_fixed_number_of_alerts_is_refused(alone, tmp_path, monkeypatch):
    def fixed(graph, stamps, metadata):
        vectors = graph.network.encode(AlertInput(*graph.network.preprocessing(stamps, metadata)))
        return vectors + torch.zeros(int(stamps.shape[0]), 1), vectors

    monkeypatch.setattr(AlertGraph, "forward", fixed)
    with pytest.raises(InputError, match="found a network that torch cannot export") as error:
        export_onnx(alone, tmp_path / "onnx")
    assert "\n" not in str(error.value)
    assert_nothing_written(tmp_path / "onnx")


def command(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["ztfrep", "export", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


@pytest.mark.parametrize("provider", [CPU, "CUDAExecutionProvider"])
def test_the_command_prints_the_provider_asked_for_and_the_one_that_ran(
    fast, tmp_path, monkeypatch, capsys, provider
):
    save(tmp_path / "model", "alert-published")
    # CUDA is not there, and ONNX Runtime takes the CPU without an error.
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CPU])
    code = command(
        monkeypatch, "--onnx", tmp_path / "onnx", "--model", tmp_path / "model",
        "--provider", provider,
    )  # fmt: skip
    assert code == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path / 'onnx/alert_encoder.onnx'}: 0.7 MB")
    assert line.endswith(f"asked for {provider}, ran {CPU}")


def test_the_command_refuses_a_folder_without_a_model_in_one_line(tmp_path, monkeypatch):
    code = command(monkeypatch, "--onnx", tmp_path / "onnx", "--model", tmp_path / "nothing")
    assert code.startswith("error: ")
    assert "\n" not in code
    assert_nothing_written(tmp_path / "onnx")

"""Export of an encoder as ONNX files, each compared with torch before it appears.

Needs the extra `onnx`.
"""

import importlib
import importlib.metadata
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from ztfrep.data.files import replacing
from ztfrep.encoders.encoder import Encoder
from ztfrep.encoders.onnx_graphs import OUTPUTS, AlertGraph, EncoderGraph, ObjectGraph
from ztfrep.encoders.reference import Reference
from ztfrep.errors import InputError, quote

CPU = "CPUExecutionProvider"
# Largest difference between numbers of ONNX Runtime and of torch, relative to the largest number
# if that is above 1.
TOLERANCE = 1e-4
_OPSET = 18
_INSTALL = 'pip install "ztfrep[onnx]"'
# Earlier versions export recurrent layers that compute other numbers.
_MIN_ONNXSCRIPT = (0, 7, 2)
# Rows and steps of the inputs that are compared; those of the example are in between.
_COMPARED = ((1, 1), (5, 7))
_EXAMPLE = (3, 4)
# Warnings of torch about its own code, which no caller can do anything about.
_WARNINGS = (
    ("The tensor attributes .* were assigned during export", UserWarning),
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),
    ("# The axis name: ", UserWarning),
)
_NOISY_LOGGER = "torch.onnx._internal.exporter._registration"


class ExportedFile(NamedTuple):
    """An ONNX file, and how it was compared with torch.

    Attributes
    ----------
    path : Path
    provider : str
        The execution provider of ONNX Runtime that ran, which may differ from that asked for.
    difference : float
        The largest difference from torch's vectors and probabilities; see `TOLERANCE`.
    """

    path: Path
    provider: str
    difference: float


def export_onnx(encoder: Encoder, folder: str | Path, provider: str = CPU) -> list[ExportedFile]:
    """Write `alert_encoder.onnx`, and `object_encoder.onnx` if there is a network of objects.

    Inputs and outputs of the files have a dynamic number of rows (and of observations):

    - alerts: `stamps` float32 `(n, 3, 63, 63)` in counts, NaN, infinite or -3.4e38 where not
      observed; `metadata` float64 `(n, 26)` in physical units, NaN or -999 where unknown, in the
      order of `ztfrep.data.features.ALERCE_FEATURES`;
    - objects: `vectors` float32 `(n, steps, d)` and `vector_mask` bool `(n, steps)`, one step for
      each observation in time order, whether it has a vector or not; `mjd` (days), `fid` (1 g, 2 r,
      3 i), `magpsf`, `sigmapsf`, `diffmaglim` (mag) float64 `(n, steps)`, NaN where unknown;
      `lengths` int64 `(n,)`, the number of observations; only the last ones are read, as
      `max_observations` of the network says;
    - outputs: `vector` float32 `(n, d)` and `probabilities` float32 `(n, classes)`, calibrated if
      the encoder has a reference.

    Each file is run on random inputs by an execution provider of ONNX Runtime, and compared with
    the encoder. Raises InputError if a package or the provider is unknown, if the folder is a file
    or has an exported network that the encoder lacks, if the network cannot be exported, and for a
    difference above `TOLERANCE`; then no file is changed.
    """
    _check_packages()
    _check_provider(provider)
    folder = Path(folder)
    graphs: list[EncoderGraph] = [
        AlertGraph(encoder.network, encoder.classes, _temperature(encoder.reference))
    ]
    if encoder.object_network is not None:
        input_dim = encoder.network.config.latent_dim
        temperature = _temperature(encoder.object_reference)
        graphs.append(
            ObjectGraph(encoder.object_network, encoder.object_classes, input_dim, temperature)
        )
    _check_folder(folder, [graph.file_name for graph in graphs])
    with ExitStack() as stack, tqdm(graphs, desc="export", disable=None) as bar:
        # No file appears before all are written and compared.
        temporary = [stack.enter_context(replacing(folder / graph.file_name)) for graph in graphs]
        exported = [
            export_graph(graph, path, provider) for graph, path in zip(bar, temporary, strict=True)
        ]
    return [file._replace(path=folder / file.path.name) for file in exported]


def _temperature(reference: Reference | None) -> float:
    return 1.0 if reference is None else reference.temperature


def export_graph(graph: EncoderGraph, path: Path, provider: str = CPU) -> ExportedFile:
    """Write a graph as an ONNX file and compare it with torch.

    Raises InputError if it cannot be exported, and for a difference above `TOLERANCE`.
    """
    _write(graph, path)
    return _compare(graph, path, provider)


def _check_packages() -> None:
    """Raise InputError if a package of the extra is missing or too old."""
    try:
        for name in ("onnx", "onnxruntime", "onnxscript"):
            importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            "export to ONNX",
            found=f"no package {error.name}",
            expected="onnx, onnxscript and onnxruntime",
            remedy=f"install them: {_INSTALL}",
        ) from error
    version = importlib.metadata.version("onnxscript")
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < _MIN_ONNXSCRIPT:
        raise InputError(
            "export to ONNX",
            found=f"onnxscript {version}, which exports recurrent networks wrongly",
            expected=f"{'.'.join(map(str, _MIN_ONNXSCRIPT))} or later",
            remedy=f"install it: {_INSTALL}",
        )


def _check_provider(provider: str) -> None:
    """Raise InputError for a name that no build of ONNX Runtime knows."""
    import onnxruntime

    if provider not in onnxruntime.get_all_providers():
        raise InputError(
            "provider",
            found=quote(provider),
            expected=" or ".join(onnxruntime.get_available_providers()),
            remedy=f"leave it out for {CPU}",
        )


def _check_folder(folder: Path, names: list[str]) -> None:
    """Raise InputError if a folder cannot be, or has a file of another export that would stay."""
    if folder.exists() and not folder.is_dir():
        raise InputError(folder, found="a file", expected="a folder", remedy="choose another name")
    if ObjectGraph.file_name not in names and (folder / ObjectGraph.file_name).exists():
        raise InputError(
            folder / ObjectGraph.file_name,
            found="a network of objects of another export",
            expected="none, since this model has no network of objects",
            remedy="remove it, or choose another folder",
        )


def _write(graph: EncoderGraph, path: Path) -> None:
    """Write a graph and its metadata; see `export_graph`."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    names = list(graph.inputs)
    dimensions = {axis: torch.export.Dim(axis) for axis in ("n", "steps")}
    shapes = tuple(
        {place: dimensions[axis] for place, axis in enumerate(axes)}
        for axes in graph.inputs.values()
    )
    example = graph.random_inputs(*_EXAMPLE)
    try:
        with _without_third_party_warnings():
            # torch.onnx.export alone would replace a dynamic axis by that of the example if the
            # network needs it.
            program = torch.export.export(
                graph,
                tuple(torch.from_numpy(example[name]) for name in names),
                dynamic_shapes=shapes,
                strict=False,
            )
            onnx_program = torch.onnx.export(
                program,
                input_names=names,
                output_names=list(OUTPUTS),
                dynamic_shapes=shapes,
                opset_version=_OPSET,
                external_data=False,
                verbose=False,
            )
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        raise InputError(
            graph.file_name,
            found=f"a network that torch cannot export ({quote(str(error), 200)})",
            expected="an architecture whose operations exist in ONNX",
            remedy="use another architecture",
        ) from error
    assert onnx_program is not None
    model = onnx_program.model
    # The metadata of the nodes are traces of the stack, with paths of this machine.
    ClearMetadataAndDocStringPass()(model)
    model.metadata_props.update(graph.metadata())
    onnx_program.save(path, external_data=False)


@contextmanager
def _without_third_party_warnings() -> Iterator[None]:
    logger = logging.getLogger(_NOISY_LOGGER)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message, category in _WARNINGS:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        logger.setLevel(level)


def _compare(graph: EncoderGraph, path: Path, provider: str) -> ExportedFile:
    """Compare the results of a file with those of torch; see `export_graph`."""
    session = open_session(path, provider)
    largest = 0.0
    for rows, steps in _COMPARED:
        inputs = graph.random_inputs(rows, steps)
        computed = session.run(list(OUTPUTS), inputs)
        for values, expected in zip(computed, graph.reference(inputs), strict=True):
            scale = max(1.0, float(np.abs(expected).max()))
            difference = float(np.abs(values - expected).max()) / scale
            # NaN is a difference too.
            if not difference <= TOLERANCE:
                raise InputError(
                    graph.file_name,
                    found=f"a difference of {difference:.1e} from torch",
                    expected=f"at most {TOLERANCE:g}",
                    remedy=f"install other versions of onnxscript and onnxruntime: {_INSTALL}",
                )
            largest = max(largest, difference)
    return ExportedFile(path, session.get_providers()[0], largest)


def open_session(path: str | Path, provider: str = CPU, threads: int = 0) -> Any:
    """Return an `InferenceSession` of ONNX Runtime, with the provider if it is there, else the CPU.

    `threads` is their number, 0 for one per core. The method `get_providers` of the result has
    the provider that runs as its first.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # Errors.
    options.intra_op_num_threads = threads
    # Threads that wait would take the time of other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = onnxruntime.get_available_providers()
    names = [name for name in dict.fromkeys((provider, CPU)) if name in available]
    return onnxruntime.InferenceSession(str(path), options, providers=names)


def read_onnx_metadata(path: str | Path) -> Mapping[str, Any]:
    """Return the metadata of an exported file by name; lists are parsed."""
    texts = open_session(path).get_modelmeta().custom_metadata_map
    return {
        name: json.loads(text) if text.startswith("[") else text for name, text in texts.items()
    }

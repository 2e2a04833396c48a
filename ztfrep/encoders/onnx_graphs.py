"""Encoders as graphs for ONNX: raw arrays in, vectors and class probabilities out.

A graph contains the preprocessing, so that another language needs nothing but the file.
"""

import copy
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import ztfrep
from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.alerts import PHOTOMETRY, Alerts
from ztfrep.data.features import ALERCE_FEATURES, SENTINEL
from ztfrep.encoders.alert_batches import encode
from ztfrep.encoders.model_folder import sha256_of_tensors
from ztfrep.encoders.onnx_recurrence import with_onnx_recurrence
from ztfrep.encoders.torch_observations import observations_to_input
from ztfrep.models.alert import ARCHITECTURES as ALERT_ARCHITECTURES
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.object import ARCHITECTURES as OBJECT_ARCHITECTURES
from ztfrep.models.object.base import FILTERS, ObjectNetwork
from ztfrep.models.object.observation_input import object_input

# Height and width of the stamps in packets, pixels.
STAMP_SIZE = 63
OUTPUTS = ("vector", "probabilities")


class Results(NamedTuple):
    """Vectors float32 `(n, d)` and class probabilities float32 `(n, classes)`."""

    vectors: np.ndarray
    probabilities: np.ndarray


class EncoderGraph(nn.Module, ABC):
    """A network on the CPU with its preprocessing; `forward` takes the inputs in order.

    Attributes
    ----------
    file_name : str
        The name of its ONNX file.
    inputs : dict
        The names of the axes of each input that are dynamic, in order, by the input's name.
    temperature : float
        The divisor of the logits, which calibrates the probabilities; see `Reference`.
    """

    file_name: ClassVar[str]
    inputs: ClassVar[Mapping[str, tuple[str, ...]]]
    network: Any
    temperature: float

    @abstractmethod
    def random_inputs(self, rows: int, steps: int) -> dict[str, np.ndarray]:
        """Return raw inputs with missing values, by name; they are always the same."""

    @abstractmethod
    def reference(self, inputs: Mapping[str, np.ndarray]) -> Results:
        """Compute the same with torch, with the preprocessing of the encoder."""

    @abstractmethod
    def metadata(self) -> dict[str, str]:
        """Return what a user of the file needs to know, as texts by name."""

    def _results(self, batch: NamedTuple) -> Results:
        vectors = encode(self.network, batch, "float32")
        with torch.inference_mode():
            logits = self.network.classify(torch.from_numpy(vectors)).double()
        return Results(vectors, self._probabilities(logits).float().numpy())

    def _probabilities(self, logits: Tensor) -> Tensor:
        return (logits / self.temperature).softmax(dim=1)


class AlertGraph(EncoderGraph):
    """Stamps and metadata of alerts to vectors and class probabilities."""

    file_name = "alert_encoder.onnx"
    inputs: ClassVar = {"stamps": ("n",), "metadata": ("n",)}
    network: AlertNetwork

    def __init__(self, network: AlertNetwork, classes: list[str], temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.network = copy.deepcopy(network).cpu().eval()
        self.classes = classes

    def forward(self, stamps: Tensor, metadata: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors and class probabilities; see `AlertPreprocessing.forward`."""
        vectors = self.network.encode(AlertInput(*self.network.preprocessing(stamps, metadata)))
        return vectors, self._probabilities(self.network.classify(vectors))

    def random_inputs(self, rows: int, steps: int) -> dict[str, np.ndarray]:
        """Return stamps of a star on noise, and metadata; `steps` does nothing."""
        generator = np.random.default_rng(0)
        axis = np.arange(STAMP_SIZE) - STAMP_SIZE // 2
        star = np.exp(-(axis**2 + (axis[:, None] + 2) ** 2 / 2) / 8)
        shape = (rows, len(CHANNELS), STAMP_SIZE, STAMP_SIZE)
        brightness = generator.uniform(50, 5000, (*shape[:2], 1, 1))
        stamps = generator.normal(200, 15, shape) + brightness * star
        stamps[0, 0, :, :25], stamps[-1, 1] = np.nan, -3.4e38
        scaling = self.network.preprocessing.feature_scaling
        metadata = generator.normal(scaling.mean, scaling.std, (rows, len(ALERCE_FEATURES)))
        missing = generator.random(metadata.shape)
        metadata[missing < 0.2], metadata[missing > 0.95] = np.nan, SENTINEL
        return {"stamps": stamps.astype(np.float32), "metadata": metadata}

    def reference(self, inputs: Mapping[str, np.ndarray]) -> Results:
        """Compute what `Encoder.encode_stamps` and `Encoder.classify` do."""
        columns = dict(zip(ALERCE_FEATURES.names, inputs["metadata"].T, strict=True))
        alerts = Alerts.from_arrays(inputs["stamps"], columns)
        arrays = alerts.stamps, alerts.metadata, alerts.feature_unit
        return self._results(self.network.preprocess(*arrays))

    def metadata(self) -> dict[str, str]:
        """Return the metadata of the file; `features` are the columns of the input `metadata`."""
        return {
            **_metadata(self.network, self.classes, ALERT_ARCHITECTURES),
            "channels": json.dumps(CHANNELS),
            "stamp_size": str(STAMP_SIZE),
            "features": json.dumps(ALERCE_FEATURES.names),
            "feature_unit": self.network.preprocessing.feature_scaling.unit,
            "vector_length": str(self.network.config.latent_dim),
        }


class ObjectGraph(EncoderGraph):
    """Observations of objects, and the vectors of their alerts, to vectors and probabilities."""

    file_name = "object_encoder.onnx"
    inputs: ClassVar = {
        "vectors": ("n", "steps"),
        "vector_mask": ("n", "steps"),
        "mjd": ("n", "steps"),
        "fid": ("n", "steps"),
        **dict.fromkeys(PHOTOMETRY, ("n", "steps")),
        "lengths": ("n",),
    }
    network: ObjectNetwork

    def __init__(
        self, network: ObjectNetwork, classes: list[str], input_dim: int, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.network = copy.deepcopy(network).cpu().eval()
        self.exported_network = with_onnx_recurrence(self.network)
        self.classes = classes
        self.input_dim = input_dim

    def forward(
        self,
        vectors: Tensor,
        vector_mask: Tensor,
        mjd: Tensor,
        fid: Tensor,
        magpsf: Tensor,
        sigmapsf: Tensor,
        diffmaglim: Tensor,
        lengths: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return vectors and class probabilities, NaN for objects without an observation.

        See `observations_to_input`. For a network that reads only vectors, only observations with
        a vector count.
        """
        objects = observations_to_input(
            vectors,
            vector_mask,
            mjd,
            fid,
            [magpsf, sigmapsf, diffmaglim],
            lengths,
            max_observations=self.network.config.max_observations,
            all_observations=self.network.reads_all_observations,
        )
        has_observations = (objects.lengths > 0)[:, None]
        objects = objects._replace(lengths=objects.lengths.clamp(min=1))
        encoded = self.exported_network.encode(objects)  # type: ignore[operator]
        encoded = torch.where(has_observations, encoded, math.nan)
        return encoded, self._probabilities(self.network.classify(encoded))

    def random_inputs(self, rows: int, steps: int) -> dict[str, np.ndarray]:
        """Return observations of objects of 1 to `steps` observations; the padding is random."""
        generator = np.random.default_rng(0)
        shape = (rows, steps)
        lengths = generator.integers(1, steps + 1, rows)
        lengths[0] = steps
        vector_mask = generator.random(shape) < 0.6
        # The network may read only observations that have a vector.
        vector_mask[np.arange(rows), generator.integers(0, lengths)] = True
        values = {
            "mjd": 58_000 + np.sort(generator.uniform(0, 100, shape), axis=1),
            "fid": generator.choice(FILTERS, shape).astype(np.float64),
            "magpsf": generator.normal(19, 1, shape),
            "sigmapsf": generator.uniform(0.05, 0.3, shape),
            "diffmaglim": generator.normal(20, 1, shape),
        }
        for column in values.values():
            column[generator.random(shape) < 0.1] = np.nan
        return {
            "vectors": generator.normal(size=(*shape, self.input_dim)).astype(np.float32),
            "vector_mask": vector_mask,
            **values,
            "lengths": lengths,
        }

    def reference(self, inputs: Mapping[str, np.ndarray]) -> Results:
        """Compute what `Encoder.encode_objects` does with a table of the same observations."""
        steps = np.arange(inputs["mjd"].shape[1])
        row, detection = np.nonzero(steps < inputs["lengths"][:, None])
        mask = inputs["vector_mask"][row, detection]
        observations = pd.DataFrame(
            {
                "row": row,
                "detection": detection,
                "step": np.where(mask, detection, -1),
                **{name: inputs[name][row, detection] for name in ("mjd", "fid", *PHOTOMETRY)},
            }
        )
        objects = object_input(
            observations,
            inputs["vectors"],
            max_observations=self.network.config.max_observations,
            all_observations=self.network.reads_all_observations,
        )
        return self._results(objects)

    def metadata(self) -> dict[str, str]:
        """Return the metadata of the file."""
        return {
            **_metadata(self.network, self.classes, OBJECT_ARCHITECTURES),
            "input_vector_length": str(self.input_dim),
            "max_observations": str(self.network.config.max_observations),
            "vector_length": str(self.network.config.hidden),
        }


def _metadata(
    network: nn.Module, classes: list[str], architectures: Mapping[str, str]
) -> dict[str, str]:
    name = f"{type(network).__module__}:{type(network).__qualname__}"
    registered = [key for key, value in architectures.items() if value == name]
    return {
        "ztfrep_version": ztfrep.__version__,
        "architecture": registered[0] if registered else name,
        "classes": json.dumps(classes),
        "weights_sha256": sha256_of_tensors(network.state_dict()),
    }

"""Results of an evaluation, from which reports are written."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from ztfrep.evaluation.calibration import ReliabilityBins
from ztfrep.evaluation.projection import Projection


@dataclass(frozen=True, eq=False)
class SplitEvaluation:
    """The evaluation of one split.

    Attributes
    ----------
    metrics : dict
        The content of the metrics file.
    labels : int (n,)
        -1 where unlabelled.
    predicted : dict of int (n,)
        Predicted classes by method. The first method is the network, if it is evaluated.
    reliability : dict of ReliabilityBins
        Those of the network's probabilities, before and after calibration.
    """

    metrics: dict[str, Any]
    labels: np.ndarray
    predicted: dict[str, np.ndarray]
    reliability: dict[str, ReliabilityBins] = field(default_factory=dict, kw_only=True)


Split = TypeVar("Split", bound=SplitEvaluation)


@dataclass(frozen=True, eq=False)
class Evaluation(Generic[Split]):
    """The evaluation of the validation and test splits.

    Attributes
    ----------
    classes : tuple of str
    splits : dict of SplitEvaluation
    projections : list of Projection
        Projections of the test vectors.
    history : list of dict
        The metrics of the network by epoch of its training.
    best_epoch : int
        The epoch of the network's weights.
    """

    classes: tuple[str, ...]
    splits: dict[str, Split]
    projections: list[Projection]
    history: list[dict[str, float]]
    best_epoch: int

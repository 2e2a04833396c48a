"""Probes of a user's own classes: a linear classifier of the vectors of an encoder."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.encoders.class_probabilities import calibrated, prediction_sets
from ztfrep.errors import InputError

_CHUNK_ROWS = 65_536


@dataclass(frozen=True, eq=False)
class LabelProbe:
    """A multinomial logistic regression on standardised vectors of length d, of k classes.

    Attributes
    ----------
    classes : tuple of str
    rows : str
        What it classifies: "alerts" or "objects".
    model : str
        Checksums of the weights of the encoder; see `Encoder.checksum`.
    mean, scale : float64 (d,)
        Mean and standard deviation of the vectors that it was fitted to.
    coefficients : float64 (k, d)
    intercept : float64 (k,)
    temperature : float
        The divisor of the logits.
    true_probabilities : float32 (v,)
        The calibrated probability of the true class, for rows that were not used in the fit of the
        classifier that computed it: each fold by the classifier of the others.
    true_labels : int64 (v,)
        Their labels.
    figures : dict
        Cross-validated scores; see `ztfrep.catalogues.probe_training.fit_label_probe`.
    """

    classes: tuple[str, ...]
    rows: str
    model: str
    mean: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    intercept: np.ndarray
    temperature: float
    true_probabilities: np.ndarray
    true_labels: np.ndarray
    figures: dict[str, Any]

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """Return the logits float64 `(n, k)` of vectors `(n, d)`, before calibration."""
        standardised = (np.asarray(vectors, np.float64) - self.mean) / self.scale
        logits: np.ndarray = standardised @ self.coefficients.T + self.intercept
        return logits

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Return the calibrated class probabilities float32 `(n, k)` of vectors `(n, d)`."""
        return calibrated(self.logits(vectors), self.temperature)

    def probabilities(self, catalogue: Catalogue) -> np.ndarray:
        """Return the calibrated class probabilities float32 `(n, k)` of a catalogue's rows.

        Raises InputError for a catalogue of another model, and of objects in place of alerts or the
        reverse.
        """
        info = catalogue.info
        if info.rows != self.rows:
            raise InputError(
                catalogue.path,
                found=f"a catalogue of {info.rows}",
                expected=f"one of {self.rows}, which the probe was trained on",
                remedy=f"give the catalogue of {self.rows}, or train a probe of {info.rows}",
            )
        if info.model != self.model or info.vector_length != len(self.mean):
            raise InputError(
                catalogue.path,
                found="vectors of another model",
                expected="those of the model that the probe was trained on",
                remedy="train the probe again on this catalogue: --labels",
            )
        vectors = catalogue.vectors()
        chunks = [
            self.predict(vectors[start : start + _CHUNK_ROWS])
            for start in range(0, len(vectors), _CHUNK_ROWS)
        ]
        return np.concatenate([np.empty((0, len(self.classes)), np.float32), *chunks])

    def prediction_sets(self, probabilities: np.ndarray, coverage: float) -> np.ndarray:
        """Return the classes of each row's prediction set, bool `(n, k)`.

        The thresholds are quantiles over out-of-fold rows (cross-conformal, Vovk 2015, Annals of
        Mathematics and Artificial Intelligence), so that the coverage is approximate; see
        `ztfrep.encoders.class_probabilities.prediction_sets`.
        """
        return prediction_sets(probabilities, self.true_probabilities, self.true_labels, coverage)

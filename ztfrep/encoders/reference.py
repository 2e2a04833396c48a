"""The reference of a network: its outputs for train and validation rows, to compare new rows with.

It is fitted once, after training, and saved with the network. It gives calibrated probabilities,
prediction sets of a stated coverage, and anomaly scores with the terms that explain them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ztfrep.encoders.class_probabilities import calibrated, fit_temperature, prediction_sets
from ztfrep.encoders.neighbour_distance import neighbour_distance

NEIGHBOUR_DISTANCE = "neighbour_distance"
RECONSTRUCTION_ERROR = "reconstruction_error"
CLASS_ENTROPY = "class_entropy"
# What is known of an alert that may be strange. An object has no reconstruction.
ANOMALY_TERMS = (NEIGHBOUR_DISTANCE, RECONSTRUCTION_ERROR, CLASS_ENTROPY)
# The terms in the anomaly score. The reconstruction error is not: it is large where noise is, and
# with it fewer alerts of a class without train rows are at the top; see docs/search.md.
_SCORE_TERMS = (NEIGHBOUR_DISTANCE, CLASS_ENTROPY)
# Train vectors that are saved: all classes alike, 1 MB at a length of 128.
MAX_REFERENCE_ROWS = 2000
N_QUANTILES = 101
_MIN_SPREAD = 1e-9


@dataclass(frozen=True, eq=False)
class Reference:
    """Outputs of a network for m train rows and v labelled validation rows.

    Attributes
    ----------
    vectors : float32 (m, d)
        Vectors of train rows.
    labels : int64 (m,)
        Their labels, -1 where unlabelled.
    quantiles : dict of float32 (101,)
        The quantiles 0, 0.01, ... 1 of each term of the anomaly score over the validation rows.
    temperature : float
        The divisor of the logits (Guo et al. 2017, ICML, section 4.2).
    true_probabilities : float32 (v,)
        The calibrated probability of the true class of labelled validation rows.
    true_labels : int64 (v,)
        Their labels.
    """

    vectors: np.ndarray
    labels: np.ndarray
    quantiles: Mapping[str, np.ndarray]
    temperature: float
    true_probabilities: np.ndarray
    true_labels: np.ndarray

    @classmethod
    def fit(
        cls,
        vectors: np.ndarray,
        labels: np.ndarray,
        validation_vectors: np.ndarray,
        validation_logits: np.ndarray,
        validation_labels: np.ndarray,
        reconstruction_error: np.ndarray | None = None,
        calibration: "Reference | None" = None,
    ) -> "Reference":
        """Fit a reference to train vectors `(m, d)`, at most 2,000, and validation rows.

        `validation_logits` is `(v, classes)`, labels are -1 where unlabelled. With
        `reconstruction_error` `(v,)`, NaN without a stamp, that is a term of the anomaly score.
        Without a labelled validation row, temperature and thresholds are those of `calibration`, if
        there is one.
        """
        labelled = validation_labels >= 0
        temperature = fit_temperature(validation_logits[labelled], validation_labels[labelled])
        if calibration is not None and not labelled.any():
            temperature = calibration.temperature
        probabilities = calibrated(validation_logits, temperature)
        true_probabilities = probabilities[labelled, validation_labels[labelled]]
        true_labels = np.asarray(validation_labels[labelled], np.int64)
        if calibration is not None and not labelled.any():
            true_probabilities = calibration.true_probabilities
            true_labels = calibration.true_labels
        reference = cls(
            np.asarray(vectors, np.float32),
            np.asarray(labels, np.int64),
            {},
            temperature,
            true_probabilities,
            true_labels,
        )
        terms = reference.anomaly_terms(validation_vectors, probabilities, reconstruction_error)
        levels = np.linspace(0, 1, N_QUANTILES)
        quantiles = {
            name: np.nanquantile(values, levels).astype(np.float32)
            for name, values in terms.items()
            if np.isfinite(values).any()
        }
        return cls(
            reference.vectors,
            reference.labels,
            quantiles,
            temperature,
            reference.true_probabilities,
            reference.true_labels,
        )

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return calibrated class probabilities float32 of logits, `(n, classes)` both."""
        return calibrated(logits, self.temperature)

    def anomaly_terms(
        self,
        vectors: np.ndarray,
        probabilities: np.ndarray,
        reconstruction_error: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the terms of the anomaly score of n rows by name, float32 `(n,)` each.

        They are the mean distance to the ten nearest reference vectors after standardisation, the
        reconstruction error if there is one, and the entropy of the class probabilities in nats.
        """
        from scipy.special import entr  # Slow to import.

        terms = {NEIGHBOUR_DISTANCE: self._neighbour_distance(vectors)}
        if reconstruction_error is not None:
            terms[RECONSTRUCTION_ERROR] = np.asarray(reconstruction_error, np.float32)
        entropy = entr(np.asarray(probabilities, np.float64)).sum(axis=1)
        return terms | {CLASS_ENTROPY: entropy.astype(np.float32)}

    def anomaly_score(self, terms: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the anomaly score float32 `(n,)` of terms by name.

        It is the mean of the neighbour distance and the class entropy, each as its difference from
        the median of the validation rows in units of their upper spread (quantile 0.84 minus 0.5);
        an unknown term counts as 0.
        """
        scaled = []
        for name in _SCORE_TERMS:
            if name in terms and name in self.quantiles:
                median, high = self.quantiles[name][[50, 84]]
                scaled.append((terms[name] - median) / max(high - median, _MIN_SPREAD))
        if not scaled:
            return np.zeros(len(next(iter(terms.values()))), np.float32)
        return np.nan_to_num(np.stack(scaled)).mean(axis=0).astype(np.float32)

    def percentiles(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the percentage of validation rows with a smaller term, float32 `(n,)`, 0 to 100.

        Raises KeyError for a term that the reference does not have.
        """
        levels = np.linspace(0, 100, N_QUANTILES)
        return np.interp(values, self.quantiles[name], levels).astype(np.float32)

    def prediction_sets(self, probabilities: np.ndarray, coverage: float) -> np.ndarray:
        """Return the classes of each row's prediction set, bool `(n, classes)`.

        The thresholds are those of the validation rows; see `class_probabilities.prediction_sets`.
        Raises ValueError unless 0 < coverage < 1.
        """
        return prediction_sets(probabilities, self.true_probabilities, self.true_labels, coverage)

    def _neighbour_distance(self, vectors: np.ndarray) -> np.ndarray:
        distance = neighbour_distance(self._standardised, self._standardise(np.asarray(vectors)))
        return distance.astype(np.float32)

    def _standardise(self, vectors: np.ndarray) -> np.ndarray:
        mean, std = self._statistics
        standardised: np.ndarray = (vectors - mean) / std
        return standardised

    @cached_property
    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        vectors = self.vectors.astype(np.float64)
        std = vectors.std(axis=0)
        return vectors.mean(axis=0), np.where(std > _MIN_SPREAD, std, 1.0)

    @cached_property
    def _standardised(self) -> np.ndarray:
        return self._standardise(self.vectors)

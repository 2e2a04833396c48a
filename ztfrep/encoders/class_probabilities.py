"""Class probabilities that are calibrated, and prediction sets of a stated coverage.

Both are fitted to labelled rows that the classifier was not trained on.
"""

import numpy as np

_TEMPERATURES = (0.05, 20.0)


def calibrated(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return the class probabilities float32 of logits, `(n, classes)` both."""
    from scipy.special import softmax  # Slow to import.

    probabilities: np.ndarray = softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    return probabilities.astype(np.float32)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature of the lowest cross-entropy; 1 without rows.

    `logits` is `(n, classes)`, `labels` int `(n,)`. The temperature is the divisor of the logits
    (Guo et al. 2017, ICML, section 4.2).
    """
    if not len(labels):
        return 1.0
    from scipy.optimize import minimize_scalar  # Slow to import.
    from scipy.special import log_softmax

    rows = np.arange(len(labels))

    def cross_entropy(log_temperature: float) -> float:
        scaled = np.asarray(logits, np.float64) / np.exp(log_temperature)
        return float(-log_softmax(scaled, axis=1)[rows, labels].mean())

    fitted = minimize_scalar(cross_entropy, bounds=np.log(_TEMPERATURES), method="bounded")
    return float(np.exp(fitted.x))


def prediction_sets(
    probabilities: np.ndarray,
    true_probabilities: np.ndarray,
    true_labels: np.ndarray,
    coverage: float,
) -> np.ndarray:
    """Return the classes of each row's prediction set, bool `(n, classes)`.

    `true_probabilities` `(v,)` are those of the true classes `true_labels` `(v,)` of other rows.
    For each class, the set of a row of that class contains it with the probability `coverage`, if
    these rows and new rows of the class are exchangeable: the threshold of a class is a quantile of
    its true probabilities (Sadinle et al. 2019, JASA, section 3). Sets may be empty. A class with
    too few rows for `coverage` is in every set. Raises ValueError unless 0 < coverage < 1.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage {coverage}; expected a number between 0 and 1")
    thresholds = np.zeros(probabilities.shape[1])
    for label in range(len(thresholds)):
        scores = np.sort(true_probabilities[true_labels == label])
        # With k smallest scores excluded, the coverage is 1 - k / (n + 1) (Vovk et al. 2005).
        excluded = int(np.floor((1 - coverage) * (len(scores) + 1) + 1e-9))
        if excluded:
            thresholds[label] = scores[excluded - 1]
    return np.where(thresholds > 0, probabilities > thresholds, True)

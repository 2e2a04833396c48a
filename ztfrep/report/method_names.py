"""What methods and metrics are: their titles, which are baselines, which way is better."""

from ztfrep.report.number_text import words_of

# Methods that use no vector of the evaluated network. The vectors of alerts are the baseline of
# those of objects.
_BASELINES = {
    "pca_linear_probe": "linear probe of pixel PCA",
    "forest_on_features": "forest on metadata",
    "features_linear_probe": "linear probe of metadata",
    "mean_alert_linear_probe": "linear probe of mean vector",
    "last_alert_linear_probe": "linear probe of last vector",
    "light_curve_forest": "forest on light curve",
    "light_curve_and_alert_forest": "forest on curve and vector",
    "pca_reconstruction": "pixel PCA",
    "last_detection": "last magnitude",
    "gaussian_process": "Gaussian process",
}
_OURS = {
    "classifier_head": "classifier head",
    "linear_probe": "linear probe",
    "knn": "k nearest neighbours",
    "svm": "SVM",
    "linear_probe_1_percent": "linear probe, 1 % of labels",
    "linear_probe_10_percent": "linear probe, 10 % of labels",
    "stamps_only_linear_probe": "linear probe, stamps only",
    "network": "recurrent network",
    "objects_linear_probe": "linear probe of object vectors",
    "network_balanced": "network, equal classes",
    "reconstruction": "reconstruction",
    "denoised": "denoised",
    "reconstruction_without_orientation": "without orientation",
}
_LOWER_IS_BETTER = ("mse", "ece", "brier", "mean_absolute_error", "loss")
# Of no quality by themselves.
_NEUTRAL = {"alerts", "objects", "temperature", "rows", "epochs", "best_epoch", "empty", "single",
            "mean_size", "coverage", "mean_class_coverage", "stated_coverage"}  # fmt: skip


def is_baseline(method: str) -> bool:
    """Return True for a method that ours are compared with."""
    return method in _BASELINES


def is_known(method: str) -> bool:
    """Return True for a method that has a title here."""
    return method in _BASELINES or method in _OURS


def method_title(method: str) -> str:
    """Return the title of a method; the words of its key for another one."""
    return _BASELINES.get(method) or _OURS.get(method) or words_of(method)


def pair_title(pair: str) -> str:
    """Return the title of a difference `A_minus_B`."""
    method, _, baseline = pair.partition("_minus_")
    return f"{method_title(method)} − {method_title(baseline)}"


def table_title(key: str) -> str:
    """Return the title of a table of metrics: of a method, of a difference, or of anything else."""
    return pair_title(key) if "_minus_" in key else method_title(key)


def direction(metric: str) -> int:
    """Return 1 if a higher value of a metric is better, -1 if a lower one is, 0 for neither.

    The metric is a flat key of metrics, or its last part.
    """
    *_, last = metric.split(".")
    if last in _NEUTRAL or last.startswith("read"):
        return 0
    if any(last == name or last.endswith(f"_{name}") for name in _LOWER_IS_BETTER):
        return -1
    return -1 if last.startswith("mse") and last != "mse_reduction" else 1

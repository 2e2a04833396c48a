"""Numbers as text: the same rounding and the same signs everywhere."""

import math
from collections.abc import Mapping
from typing import Any

# Numbers below this have three significant digits, others three decimals.
_SMALL = 0.01
MISSING = "–"
# Words of metrics that are written in another way.
_WORDS = {
    "f1": "F1", "mse": "MSE", "psnr": "PSNR", "ece": "ECE", "brier": "Brier score", "nmi": "NMI",
    "ari": "ARI", "auroc": "AUROC", "pca": "PCA", "knn": "k nearest neighbours", "svm": "SVM",
    "kmeans": "k-means", "hdbscan": "HDBSCAN", "agn": "AGN", "sn": "SN", "vs": "VS",
    "tsne": "t-SNE", "nan": "NaN",
}  # fmt: skip


def decimals_of(*values: float) -> int:
    """Return the number of decimals with which values of one quantity are written."""
    size = max((abs(value) for value in values), default=0.0)
    if size == 0 or _SMALL <= size < 10:
        return 3
    if size < _SMALL:
        return min(12, 2 - math.floor(math.log10(size)))
    return 2 if size < 100 else 1


def format_count(value: float) -> str:
    """Return a whole number with commas between thousands."""
    return f"{value:,.0f}"


def format_number(value: Any, decimals: int | None = None, *, sign: bool = False) -> str:
    """Return a number with a fixed number of decimals; int without any; a dash for None.

    Text and truth values are returned as JSON has them. With `sign` positive numbers have a plus.
    """
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        text = f"{value:+,}" if sign else f"{value:,}"
    else:
        places = decimals_of(value) if decimals is None else decimals
        rounded = round(value, places) + 0.0  # No minus before zero.
        text = f"{rounded:+,.{places}f}" if sign else f"{rounded:,.{places}f}"
    return text.replace("-", "−")


def format_interval(low: float, high: float, decimals: int, *, sign: bool = False) -> str:
    """Return the two ends of an interval."""
    ends = (format_number(float(end), decimals, sign=sign) for end in (low, high))
    return " to ".join(ends)


def format_score(scores: Mapping[str, Any], name: str, *, sign: bool = False) -> str:
    """Return a score, with its interval in parentheses if `name_low` and `name_high` exist."""
    if name not in scores:
        return MISSING
    value = scores[name]
    low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
    if low is None or high is None:
        return format_number(value, sign=sign)
    decimals = decimals_of(value, low, high)
    interval = format_interval(low, high, decimals, sign=sign)
    return f"{format_number(float(value), decimals, sign=sign)} ({interval})"


def words_of(key: str) -> str:
    """Return the key of a metric, or of a table of metrics, as words."""
    return " ".join(_WORDS.get(part.lower(), part) for part in key.split("_"))


def plural(count: int, word: str) -> str:
    """Return a count with its noun."""
    return f"{format_count(count)} {word}{'' if count == 1 else 's'}"

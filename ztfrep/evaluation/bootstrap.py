"""The bootstrap: rows drawn with replacement, and percentile intervals of statistics."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# Number of samples for statistics of a confusion matrix, and for statistics that are slower.
REPEATS = 1000
SLOW_REPEATS = 100
_QUANTILES = (0.025, 0.975)

# Statistics by name; the ends of their intervals have the keys `name_low` and `name_high`.
Scores = dict[str, float]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Samples of n rows, drawn with replacement within each class or as whole groups.

    All statistics are computed on the same samples, so that differences of methods are paired.

    Attributes
    ----------
    strata : int (g,)
        The stratum of each group. All samples have the same number of groups of a stratum.
    groups : int (n,) or None
        The group of each row, 0 to g - 1. The rows of a group are drawn together. With None each
        row is a group.
    seed : int
    repeats : int
        Number of samples.
    """

    strata: np.ndarray
    groups: np.ndarray | None
    seed: int
    repeats: int

    @classmethod
    def within_classes(
        cls, labels: np.ndarray, *, seed: int, repeats: int = REPEATS
    ) -> "Bootstrap":
        """Return samples with the same number of rows of each label `(n,)`."""
        return cls(labels, None, seed, repeats)

    @classmethod
    def of_groups(cls, groups: np.ndarray, *, seed: int, repeats: int = REPEATS) -> "Bootstrap":
        """Return samples of whole groups; `groups` `(n,)` are names, such as the rows' objects."""
        names, index = np.unique(groups, return_inverse=True)
        return cls(np.zeros(len(names), dtype=np.int64), index, seed, repeats)

    def samples(self) -> Iterator[np.ndarray]:
        """Yield the rows `(m,)` of each sample; every call yields the same."""
        generator = np.random.default_rng(self.seed)
        members = [np.flatnonzero(self.strata == stratum) for stratum in np.unique(self.strata)]
        for _ in range(self.repeats):
            drawn = np.concatenate([generator.choice(m, len(m)) for m in members])
            if self.groups is None:
                yield drawn
            else:
                counts = np.bincount(drawn, minlength=len(self.strata))
                yield np.repeat(np.arange(len(self.groups)), counts[self.groups])

    def distribution(self, statistic: Callable[..., ArrayLike], *arrays: np.ndarray) -> np.ndarray:
        """Return a statistic of the sampled rows of arrays `(n, ...)`: `(repeats, ...)`."""
        return np.stack(
            [np.asarray(statistic(*(array[rows] for array in arrays))) for rows in self.samples()]
        )

    def score(self, name: str, statistic: Callable[..., float], *arrays: np.ndarray) -> Scores:
        """Return a statistic of arrays `(n, ...)` by its name, with its 95 % interval."""
        return with_interval(name, statistic(*arrays), self.distribution(statistic, *arrays))

    def scores(
        self, names: Sequence[str], statistics: Callable[..., Sequence[float]], *arrays: np.ndarray
    ) -> Scores:
        """Return the scores of several statistics that one function computes; see `score`."""
        samples = self.distribution(statistics, *arrays)
        scores: Scores = {}
        for name, value, column in zip(names, statistics(*arrays), samples.T, strict=True):
            scores |= with_interval(name, value, column)
        return scores


def with_interval(name: str, value: float, samples: np.ndarray) -> Scores:
    """Return a value and its 95 % percentile interval of samples `(repeats,)`, by name."""
    low, high = np.quantile(samples, _QUANTILES)
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}

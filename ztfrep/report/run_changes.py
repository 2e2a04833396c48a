"""Differences between a run and another revision: parameters first, then metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ztfrep.data.strict_yaml import parse_yaml
from ztfrep.errors import InputError
from ztfrep.report.file_readers import parse_object
from ztfrep.report.flat_tables import flatten, without_ends
from ztfrep.report.method_names import direction
from ztfrep.report.revisions import Revision
from ztfrep.report.run_files import METRICS_FILES, Run

# A key that one of the two runs does not have.
ABSENT = object()
# The metrics that are listed first, of whatever method.
_MAIN = {"balanced_accuracy", "macro_f1", "mse", "mean_absolute_error", "precision_at_10",
         "auroc_mean", "ece", "brier", "coverage"}  # fmt: skip
# Tables of parts and differences of what other tables have.
_PARTS = ("paired_differences.", "early_classification.", "by_class.")
_TEST_FILES = ("stamps.json", "series.json")


@dataclass(frozen=True)
class ParameterChange:
    """A parameter that differs: its key, both values, and whether this run uses its table.

    A value is ABSENT if the key is not there.
    """

    key: str
    before: Any
    after: Any
    is_used: bool


@dataclass(frozen=True)
class MetricChange:
    """A metric that differs.

    Attributes
    ----------
    file, key : str
        The file of metrics, and the flat key in it.
    before, after : float, or another value, or ABSENT
    low, high : float or None
        The interval before.
    """

    file: str
    key: str
    before: Any
    after: Any
    low: float | None
    high: float | None

    @property
    def change(self) -> float | None:
        """The difference of two numbers; None if one is absent."""
        pair = (self.before, self.after)
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in pair):
            return None
        difference: float = self.after - self.before
        return difference

    @property
    def is_in_interval(self) -> bool | None:
        """Whether the new value is in the interval before; None without one."""
        if self.low is None or self.high is None or self.change is None:
            return None
        return bool(self.low <= self.after <= self.high)

    @property
    def is_better(self) -> bool | None:
        """Whether the new value is better; None if no direction is, or without a difference."""
        way = direction(self.key)
        return None if not way or not self.change else way * self.change > 0

    @property
    def is_main(self) -> bool:
        """Whether it is one of the metrics that matter most, on test rows."""
        last = self.key.rpartition(".")[2]
        is_part = any(table in self.key for table in _PARTS)
        return self.file in _TEST_FILES and last in _MAIN and not is_part


@dataclass(frozen=True)
class Changes:
    """What differs from a revision; `missing` are its files that do not exist."""

    revision: Revision
    parameters: list[ParameterChange]
    metrics: list[MetricChange]
    missing: list[str]

    def __bool__(self) -> bool:
        return bool(self.parameters or self.metrics)


def compare(run: Run, revision: Revision, params: Path, metrics: Path) -> Changes:
    """Compare a run with the files that a revision has at the paths of the parameters and metrics.

    Raises InputError for a broken file of the revision.
    """
    missing = []
    parameters: list[ParameterChange] = []
    content = revision.read(params)
    if content is None:
        missing.append(params.name)
    else:
        before = parse_yaml(content, f"{revision.name}: {params.name}")
        if not isinstance(before, dict):
            found, expected = "no table", "tables of parameters"
            where = f"{revision.name}: {params.name}"
            raise InputError(where, found=found, expected=expected, remedy="compare with another")
        parameters = compare_parameters(before, run.params)
    changed: list[MetricChange] = []
    for name in METRICS_FILES:
        content = revision.read(metrics / name)
        if content is None:
            missing.append(f"{metrics.name}/{name}")
        elif name in run.metrics:
            old = parse_object(content, f"{revision.name}: {metrics.name}/{name}")
            changed += compare_metrics(name, old, run.metrics[name])
    return Changes(revision, parameters, changed, missing)


def compare_parameters(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[ParameterChange]:
    """Return the parameters that differ, those that the run uses first."""
    old, new = flatten(before), flatten(after)
    changes = [
        ParameterChange(key, old.get(key, ABSENT), new.get(key, ABSENT), is_used(key, after))
        for key in dict.fromkeys([*new, *old])
        if old.get(key, ABSENT) != new.get(key, ABSENT)
    ]
    return sorted(changes, key=lambda change: not change.is_used)


def is_used(key: str, params: Mapping[str, Any]) -> bool:
    """Return False for a parameter of a source or an architecture that is not the run's own."""
    table, _, rest = key.partition(".")
    own = {
        "sources": params.get("source"),
        "budget": params.get("source"),
        **{name: _get(params, name, "architecture") for name in ("autoencoder", "recurrent")},
    }.get(table)
    inner = rest.partition(".")[0]
    is_table = isinstance(_get(params, table, inner), Mapping) or "." in rest
    return own is None or not is_table or inner in (own, "released")


def _get(table: Mapping[str, Any], *keys: str) -> Any:
    value: Any = table
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def compare_metrics(
    file: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[MetricChange]:
    """Return the metrics that differ, without the ends of intervals."""
    old, new = flatten(before), flatten(after)
    values, new_values = without_ends(old), without_ends(new)
    return [
        MetricChange(
            file,
            key,
            values.get(key, ABSENT),
            new_values.get(key, ABSENT),
            old.get(f"{key}_low"),
            old.get(f"{key}_high"),
        )
        for key in dict.fromkeys([*new_values, *values])
        if values.get(key, ABSENT) != new_values.get(key, ABSENT)
    ]


def by_importance(changes: list[MetricChange]) -> list[MetricChange]:
    """Return changes sorted: out of the interval before first, then by the size of the change.

    The size is in units of half the interval before, or else relative to the value before.
    """

    def size(change: MetricChange) -> float:
        if change.change is None:
            return 0.0
        if change.low is not None and change.high is not None and change.high > change.low:
            return 2 * abs(change.change) / (change.high - change.low)
        return abs(change.change) / abs(change.before) if change.before else 0.0

    return sorted(changes, key=lambda c: (c.is_in_interval is not False, -size(c)))

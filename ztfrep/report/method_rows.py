"""Rows of a chart of methods."""

from collections.abc import Mapping
from typing import Any

from ztfrep.report.interval_chart import IntervalRow
from ztfrep.report.method_names import is_baseline, method_title


def method_rows(methods: Mapping[str, Any], metric: str) -> list[IntervalRow]:
    """Return a row for each method that has a metric, with its interval if there is one."""
    return [
        IntervalRow(
            method_title(name),
            part[metric],
            part.get(f"{metric}_low"),
            part.get(f"{metric}_high"),
            "baseline" if is_baseline(name) else "ours",
        )
        for name, part in methods.items()
        if isinstance(part, Mapping) and metric in part
    ]

"""Metrics as JSON files."""

from collections.abc import Mapping
from pathlib import Path

from ztfrep.data.files import write_json


def write_metrics(path: str | Path, metrics: Mapping[str, object]) -> None:
    """Write metrics as JSON, floats rounded to six significant digits."""
    write_json(path, _rounded(metrics))


def _rounded(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value

"""Turn the two pickles into alert tables: no duplicates, no leaks, everything accounted for."""

import json
import logging
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from stages import run
from stages.paths import MANIFEST, METRICS, SERIES, STAMPS
from ztfrep import curation, features
from ztfrep.alerts import SPLITS, AlertTable
from ztfrep.errors import InputError
from ztfrep.files import replacing, write_json
from ztfrep.params import Params
from ztfrep.sources.datasets import read_series_pickle, read_stamps_pickle
from ztfrep.sources.published import series_science_digests, write_series, write_stamps


def main(params: Params) -> None:
    """Convert both pickles; both tables appear, or neither."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    stamps_path, series_path = (_unchanged(manifest[table]) for table in ("stamps", "series"))
    stamps, series = read_stamps_pickle(stamps_path), read_series_pickle(series_path)
    try:
        rows = curation.split_objects(
            series.labels,
            held_out=params.convert.held_out,
            at_least=params.convert.held_out_at_least,
            seed=params.seed,
        )
    except ValueError as error:
        remedy = "give more series, or leave that class out"
        raise InputError(
            series_path, found=str(error), expected="enough of each class", remedy=remedy
        ) from error
    held_out = series_science_digests(series, np.concatenate(rows[1:]))
    with ExitStack() as stack:
        stamps_table, series_table = (stack.enter_context(replacing(p)) for p in (STAMPS, SERIES))
        counts = {
            "stamps": write_stamps(stamps_table, stamps, held_out, source=str(stamps_path)),
            "series": write_series(series_table, series, dict(zip(SPLITS, rows, strict=True))),
        }
    if AlertTable(STAMPS).info.feature_unit != features.PHYSICAL:
        logging.warning(
            "%s: features were z-scored by other statistics than the published ones; they stay "
            "z-scores of unknown origin and never mix with physical units",
            stamps_path,
        )
    write_json(METRICS / "data.json", counts)


def _unchanged(described: dict[str, str | int]) -> Path:
    path = Path(str(described["path"]))
    size = path.stat().st_size if path.is_file() else 0
    if size != described["bytes"]:
        raise InputError(
            path,
            found=f"{size} bytes",
            expected=f"the {described['bytes']} bytes that fetch saw",
            remedy="run dvc repro again once the file is complete",
        )
    return path


if __name__ == "__main__":
    run(main)

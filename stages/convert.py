"""Turn pickles or packets into alert tables: no duplicates, no leaks, everything accounted for."""

import json
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from stages import run
from stages.label_coverage import Labelled, count_packets, count_tables, unscored
from stages.paths import BAD_PACKETS, MANIFEST, METRICS, SERIES, STAMPS
from ztfrep.data import features
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.files import replacing, write_json
from ztfrep.data.splits import SPLITS, split_objects
from ztfrep.errors import InputError
from ztfrep.params import Params
from ztfrep.sources.pickles.pickle_tables import series_science_digests, write_series, write_stamps
from ztfrep.sources.pickles.published_pickles import read_series_pickle, read_stamps_pickle


def main(params: Params) -> None:
    """Convert what fetch found; both tables appear, or neither."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    convert = _convert_packets if "packets" in manifest else _convert_pickles
    with ExitStack() as stack:
        tables = [stack.enter_context(replacing(path)) for path in (STAMPS, SERIES)]
        counts = convert(manifest, params, *tables)
    write_json(METRICS / "data.json", counts)


def _convert_pickles(
    manifest: dict[str, Any], params: Params, stamps_table: Path, series_table: Path
) -> dict[str, Any]:
    stamps_path, series_path = (_unchanged(manifest[table]) for table in ("stamps", "series"))
    stamps, series = read_stamps_pickle(stamps_path), read_series_pickle(series_path)
    try:
        rows = split_objects(
            series.labels,
            test_fraction=params.convert.held_out,
            min_test_objects=params.convert.held_out_at_least,
            seed=params.convert.seed,
        )
    except ValueError as error:
        remedy = "give more series, or leave that class out"
        raise InputError(
            series_path, found=str(error), expected="enough of each class", remedy=remedy
        ) from error
    held_out = series_science_digests(series, np.concatenate(rows[1:]))
    counts = {
        "stamps": write_stamps(stamps_table, stamps, held_out, source=str(stamps_path)),
        "series": write_series(series_table, series, dict(zip(SPLITS, rows, strict=True))),
    }
    alerts = AlertTable(stamps_table)
    _warn_of_unscored(*count_tables(alerts, AlertTable(series_table)))
    if alerts.info.feature_unit != features.PHYSICAL:
        logging.warning(
            "%s: features were z-scored by other statistics than the published ones; they stay "
            "z-scores of unknown origin and never mix with physical units",
            stamps_path,
        )
    return counts


def _convert_packets(
    manifest: dict[str, Any], params: Params, stamps_table: Path, series_table: Path
) -> dict[str, Any]:
    # Slow to import, and needed by this source alone.
    from ztfrep.sources.packets.archives import readers
    from ztfrep.sources.packets.entries import Ignored
    from ztfrep.sources.packets.labels import no_labels, read_labels
    from ztfrep.sources.packets.packet_tables import Splitting, write_nights

    chosen = params.sources.alerts
    labels = no_labels()
    if "labels" in manifest:
        labels = read_labels(_unchanged(manifest["labels"]), chosen.label_column)
    counts = write_nights(
        readers(_unchanged(described) for described in manifest["packets"]),
        labels,
        stamps_table,
        series_table,
        BAD_PACKETS,
        splitting=Splitting(
            params.convert.held_out, params.convert.held_out_at_least, params.convert.seed
        ),
        max_bad_fraction=chosen.max_bad_fraction,
        threads=params.threads,
        source=chosen.path,
        broken_archives=chosen.broken_archives,
        ignored=[Ignored(**file) for file in manifest["ignored"]],
    )
    objects = {split: counts["series"][split]["kept_objects"] for split in SPLITS}
    if not all(objects.values()):
        raise InputError(
            chosen.path,
            found=", ".join(f"{n} {split} objects" for split, n in objects.items()),
            expected="objects in every split: three or more of a class, or without a label",
            remedy="give more alerts",
        )
    _warn_of_unscored(*count_packets(counts))
    return counts


def _warn_of_unscored(alerts: Labelled, objects: Labelled) -> None:
    for sentence in unscored(alerts, objects):
        logging.warning("%s", sentence)


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
    run(main, networks=False)

"""The base class of sources of two published pickles, and the source of the user's own pickles."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ztfrep.data.splits import SPLITS, Splitting, split_objects
from ztfrep.errors import InputError
from ztfrep.fields import FilePath, Table
from ztfrep.sources.base import ConfigT, Counts, Manifest, Source, TablePaths, require_path
from ztfrep.sources.manifest import describe_file, unchanged_path


class PickleSource(Source[ConfigT]):
    """A source whose manifest has the two pickles, `stamps` and `series`."""

    def convert(
        self,
        manifest: Manifest,
        config: ConfigT,
        tables: TablePaths,
        *,
        splitting: Splitting,
        threads: int,
    ) -> Counts:
        """Convert the two pickles: split series by object, and remove duplicates and leaks."""
        # Slow to import.
        import numpy as np

        from ztfrep.data.alert_table import AlertTable
        from ztfrep.data.features import PHYSICAL
        from ztfrep.sources.label_coverage import count_tables, warn_of_unscored
        from ztfrep.sources.pickles.pickle_tables import (
            series_science_digests,
            write_series,
            write_stamps,
        )
        from ztfrep.sources.pickles.published_pickles import read_series_pickle, read_stamps_pickle

        stamps_path, series_path = (unchanged_path(manifest[name]) for name in ("stamps", "series"))
        stamps, series = read_stamps_pickle(stamps_path), read_series_pickle(series_path)
        try:
            rows = split_objects(
                series.labels,
                test_fraction=splitting.test_fraction,
                min_test_objects=splitting.min_test_objects,
                seed=splitting.seed,
            )
        except ValueError as error:
            remedy = "give more series, or remove those of that class"
            raise InputError(
                series_path, found=str(error), expected="enough of each class", remedy=remedy
            ) from error
        digests = series_science_digests(series, np.concatenate(rows[1:]))
        objects = dict(zip(SPLITS, rows, strict=True))
        # Both at once: a table is compressed in one thread.
        with ThreadPoolExecutor(min(threads, 2)) as pool:
            tasks = {
                "stamps": pool.submit(
                    write_stamps, tables.stamps, stamps, digests, source=str(stamps_path)
                ),
                "series": pool.submit(write_series, tables.series, series, objects),
            }
        counts = {name: task.result() for name, task in tasks.items()}
        alerts = AlertTable(tables.stamps)
        warn_of_unscored(*count_tables(alerts, AlertTable(tables.series)))
        if alerts.info.feature_unit != PHYSICAL:
            logging.warning(
                "%s: features were z-scored by other statistics than the published ones; they stay "
                "z-scores of unknown origin and never mix with physical units",
                stamps_path,
            )
        return counts


class LocalConfig(Table):
    """The user's own pickles, as absolute paths."""

    stamps: FilePath
    """/absolute/path/td_ztf_stamp_17_06_20.pkl."""
    series: FilePath
    """/absolute/path/recurrent_dataset.pk."""


class LocalSource(PickleSource[LocalConfig]):
    """The user's own pickles."""

    Config = LocalConfig

    def fetch(self, config: LocalConfig, raw_folder: Path, cache_folder: Path) -> Manifest:
        """Return the manifest of the two files, which are not copied."""
        stamps = require_path("sources.local.stamps", config.stamps, "a pickle")
        series = require_path("sources.local.series", config.series, "a pickle")
        return {"stamps": describe_file(stamps), "series": describe_file(series)}

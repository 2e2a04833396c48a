"""The two published data sets as alert tables: without duplicates and leaks, all rows counted."""

import logging
from pathlib import Path

import numpy as np

from ztfrep.data import duplicates
from ztfrep.data.alert_schema import CLASSES, SERIES_CLASSES, TableInfo
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.chunks import chunks
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, ZSCORED_UNKNOWN, is_published_zscore
from ztfrep.data.splits import SPLITS
from ztfrep.data.stamps import crop, is_usable, mask_pixels
from ztfrep.errors import InputError
from ztfrep.sources.base import Counts
from ztfrep.sources.pickles.published_pickles import SeriesArrays, StampSplit


def write_series(path: Path, arrays: SeriesArrays, objects: dict[str, np.ndarray]) -> Counts:
    """Write the series, a row per detection, and count what was written and excluded by split.

    `objects` are the rows of the pickle that belong to each split.
    """
    height, width = arrays.template.shape[1:]
    info = TableInfo(height, width, "unknown", "none", SERIES_CLASSES)
    with AlertWriter(path, info) as writer:
        return {
            split: _write_series_split(writer, split, arrays, rows)
            for split, rows in objects.items()
        }


def _write_series_split(
    writer: AlertWriter, split: str, arrays: SeriesArrays, objects: np.ndarray
) -> dict[str, int]:
    detections = arrays.science.shape[1]
    count = {
        "read_objects": len(objects),
        "read_alerts": len(objects) * detections,
        "excluded_constant": 0,
        "written_objects": 0,
        "written_alerts": 0,
        "masked_pixels": 0,
    }
    for chunk in chunks(len(objects), f"series {split}"):
        rows = objects[chunk]
        stamps, masked, valid = _mask(_stack_series_stamps(arrays, rows))
        object_row = np.repeat(rows, detections)[valid]
        count["excluded_constant"] += int((~valid).sum())
        count["written_objects"] += len(np.unique(object_row))
        count["written_alerts"] += len(object_row)
        count["masked_pixels"] += int(masked[valid].sum())
        writer.write(
            {
                "object_id": [f"series:{row}" for row in object_row],
                "detection": np.tile(np.arange(detections), len(rows))[valid],
                "split": [split] * len(object_row),
                "label": arrays.labels[object_row],
                "n_copies": np.ones(len(object_row), dtype=np.int32),
                # A stamp that is not constant has pixels.
                "has_stamps": np.ones(len(object_row), dtype=bool),
                "stamps": stamps if valid.all() else stamps[valid],
            }
        )
    return count


def series_science_digests(arrays: SeriesArrays, rows: np.ndarray) -> np.ndarray:
    """Compute `canonical_digests` of the science crops of objects `(n,)`, all their detections."""
    digests = [np.empty(0, dtype="V16")]
    for chunk in chunks(len(rows), "hash series"):
        stamps = mask_pixels(arrays.science[rows[chunk]])
        science = crop(stamps.reshape(-1, *stamps.shape[2:]))
        digests.append(duplicates.canonical_digests(science))
    return np.concatenate(digests)


def write_stamps(
    path: Path, splits: dict[str, StampSplit], series_digests: np.ndarray, *, source: str
) -> Counts:
    """Write the first alerts without duplicates and leaks, and count all of them by split.

    Identical stamps of a split become one row. A stamp of two splits is excluded from the earlier
    one. `series_digests` are those of the science stamps of the validation and test series: a train
    alert with one of them is excluded. `source` names the file in an error.
    """
    shapes = {split.images.shape[1:] for split in splits.values()}
    if len(shapes) != 1:
        raise InputError(
            source,
            found=f"images of shapes {sorted(shapes)}",
            expected="one shape in all splits",
            remedy="cut or pad the stamps to one size",
        )
    height, width, _ = shapes.pop()
    scores = np.concatenate([split.features for split in splits.values()])
    unit = PHYSICAL if is_published_zscore(scores) else ZSCORED_UNKNOWN
    keys = {
        name: duplicates.digests(split.images, f"hash {name}") for name, split in splits.items()
    }
    counts: Counts = {}
    with AlertWriter(path, TableInfo(height, width, "minmax", unit)) as writer:
        for index, name in enumerate(SPLITS):
            later = np.concatenate([keys[name][:0], *(keys[s] for s in SPLITS[index + 1 :])])
            excluded = series_digests if name == "train" else series_digests[:0]
            counts[name] = _write_stamp_split(
                writer, name, splits[name], keys[name], later, excluded
            )
    return counts


def _write_stamp_split(
    writer: AlertWriter,
    name: str,
    split: StampSplit,
    keys: np.ndarray,
    later_keys: np.ndarray,
    series_digests: np.ndarray,
) -> dict[str, int]:
    first, copies, group = duplicates.group_equal(keys)
    contradictory = duplicates.is_contradictory(split.labels, group, len(first))
    in_later_split = np.isin(keys[first], later_keys) & ~contradictory
    count = {
        "read": len(keys),
        "collapsed_duplicates": 0,
        "excluded_contradictory_label": int(copies[contradictory].sum()),
        "excluded_in_later_split": int(copies[in_later_split].sum()),
        "excluded_constant": 0,
        "excluded_in_test_series": 0,
        "written": 0,
        "masked_pixels": 0,
    }
    impossible = 0
    # `np.isin` would sort all of them for every chunk.
    series_keys = set(series_digests.tolist())
    candidates = ~contradictory & ~in_later_split
    first, copies = first[candidates], copies[candidates]
    for chunk in chunks(len(first), f"stamps {name}"):
        rows, n_copies = first[chunk], copies[chunk]
        # A copy in the order of the table: reductions over strided pixels take ten times as long.
        channels_first = np.moveaxis(split.images[rows], -1, 1)
        images, masked, varies = _mask(np.ascontiguousarray(channels_first))
        constant = ~varies
        science = duplicates.canonical_digests(crop(images[:, 0]))
        in_series = np.array([key in series_keys for key in science.tolist()], bool) & ~constant
        valid = ~constant & ~in_series
        count["excluded_constant"] += int(n_copies[constant].sum())
        count["excluded_in_test_series"] += int(n_copies[in_series].sum())
        count["collapsed_duplicates"] += int((n_copies[valid] - 1).sum())
        count["written"] += int(valid.sum())
        count["masked_pixels"] += int(masked[valid].sum())
        rows = rows[valid]
        metadata = split.features[rows]
        unit = writer.info.feature_unit
        if unit == PHYSICAL:
            metadata = ALERCE_FEATURES.invert_zscore(metadata)
        possible = ALERCE_FEATURES.mask_impossible(metadata, unit)
        impossible += int(np.isfinite(metadata).sum() - np.isfinite(possible).sum())
        writer.write(
            {
                "object_id": [f"stamps:{name}:{row}" for row in rows],
                "detection": np.zeros(len(rows), dtype=np.int16),
                "split": [name] * len(rows),
                "label": split.labels[rows],
                "n_copies": n_copies[valid],
                # A stamp that is not constant has pixels.
                "has_stamps": np.ones(len(rows), dtype=bool),
                "stamps": images if valid.all() else images[valid],
                **dict(zip(ALERCE_FEATURES.names, possible.T, strict=True)),
            }
        )
    if impossible:
        logging.warning("%s: %d impossible values of features become null", name, impossible)
    for label, class_name in enumerate(CLASSES):
        count[f"read_{class_name}"] = int((split.labels == label).sum())
    return count


def _stack_series_stamps(arrays: SeriesArrays, objects: np.ndarray) -> np.ndarray:
    """Return the stamps of objects `(n,)`: `(n k, 3, H, W)`."""
    science = arrays.science[objects]
    template = np.broadcast_to(arrays.template[objects][:, None], science.shape)
    # The science stamp is first. In the published code the template was first, although its encoder
    # was trained with the science stamp first.
    stamps = np.stack([science, template, arrays.difference[objects]], axis=2)
    return stamps.reshape(-1, *stamps.shape[2:])


def _mask(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mask unusable pixels of stamps `(n, 3, H, W)`.

    Returns the stamps as float32, the number of masked pixels of each row, and True for rows
    without a constant channel.
    """
    flat = stamps.reshape(*stamps.shape[:2], -1)
    # Both are NaN for a stamp with a NaN.
    highest, lowest = flat.max(axis=2), flat.min(axis=2)
    if is_usable(highest).all() and is_usable(lowest).all():
        masked = stamps.astype(np.float32, copy=False)
        if masked is not stamps:
            # Different numbers may be the same float32.
            return masked, np.zeros(len(stamps), int), ~duplicates.is_constant(masked)
        return masked, np.zeros(len(stamps), int), (highest > lowest).all(axis=1)
    masked = mask_pixels(stamps)
    return masked, np.isnan(masked).sum(axis=(1, 2, 3)), ~duplicates.is_constant(masked)

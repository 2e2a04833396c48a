"""The two published data sets as alert tables: rows identified, curated, accounted for."""

import logging
from pathlib import Path

import numpy as np

from ztfrep.data import curation
from ztfrep.data.alert_schema import CLASSES, SERIES_CLASSES, SPLITS, TableInfo
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, ZSCORED_UNKNOWN, is_published_zscore
from ztfrep.data.stamps import CROP, crop, mask_pixels
from ztfrep.errors import InputError
from ztfrep.sources.pickles.published_pickles import SeriesArrays, StampSplit

Counts = dict[str, dict[str, int]]

# The pickles' names of the splits.
_PUBLISHED_SPLITS = dict(zip(SPLITS, ("Train", "Validation", "Test"), strict=True))


def write_series(path: Path, arrays: SeriesArrays, split: dict[str, np.ndarray]) -> Counts:
    """Write the series, a row per detection, and count what was kept and dropped by split.

    `split` gives the objects (rows of the pickle) of each split.
    """
    detections = arrays.science.shape[1]
    height, width = arrays.template.shape[1:]
    counts: Counts = {}
    info = TableInfo(height, width, "unknown", "none", SERIES_CLASSES)
    with AlertWriter(path, info) as writer:
        for name, objects in split.items():
            kept = constant = masked = kept_objects = 0
            for block in curation.blocks(len(objects), f"series {name}"):
                rows = objects[block]
                stamps, lost = _masked(_series_stamps(arrays, rows))
                good = ~curation.is_constant(stamps)
                masked += int(lost[good].sum())
                constant += int((~good).sum())
                kept += int(good.sum())
                owner = np.repeat(rows, detections)[good]
                kept_objects += len(np.unique(owner))
                writer.write(
                    {
                        "object_id": [f"series:{row}" for row in owner],
                        "detection": np.tile(np.arange(detections), len(rows))[good],
                        "split": [name] * len(owner),
                        "label": arrays.labels[owner],
                        "n_copies": np.ones(len(owner), dtype=np.int32),
                        "stamps": stamps[good],
                    }
                )
            counts[name] = {
                "read_objects": len(objects),
                "read_alerts": len(objects) * detections,
                "dropped_constant": constant,
                "kept_objects": kept_objects,
                "kept_alerts": kept,
                "masked_pixels": masked,
            }
    return counts


def series_science_digests(arrays: SeriesArrays, rows: np.ndarray) -> np.ndarray:
    """Hash the science crops of the given objects, all detections; see `canonical_digests`."""
    found = []
    for block in curation.blocks(len(rows), "hash series"):
        stamps = mask_pixels(arrays.science[rows[block]])
        found.append(curation.canonical_digests(crop(stamps.reshape(-1, *stamps.shape[2:]), CROP)))
    return np.concatenate(found) if found else np.empty(0, dtype="V16")


def write_stamps(
    path: Path, splits: dict[str, StampSplit], held_out_science: np.ndarray, *, source: str
) -> Counts:
    """Write the first alerts, duplicates collapsed and leaks taken out; count all by split.

    `held_out_science` are the canonical digests of the series' validation and test science
    stamps: a Train alert among them leaves. Of twins in two splits the later split's stays.
    """
    published = {name: splits[_PUBLISHED_SPLITS[name]] for name in SPLITS}
    shapes = {split.images.shape[1:] for split in published.values()}
    if len(shapes) != 1:
        raise InputError(
            source,
            found=f"images of shapes {sorted(shapes)}",
            expected="one shape in all splits",
            remedy="cut or pad the stamps to one size",
        )
    height, width, _ = shapes.pop()
    scores = np.concatenate([split.features for split in published.values()])
    as_published = is_published_zscore(scores)
    unit = PHYSICAL if as_published else ZSCORED_UNKNOWN
    keys = {
        name: curation.digests(split.images, f"hash {name}") for name, split in published.items()
    }
    counts: Counts = {}
    with AlertWriter(path, TableInfo(height, width, "minmax", unit)) as writer:
        for place, name in enumerate(SPLITS):
            later = np.concatenate([keys[s] for s in SPLITS[place + 1 :]] or [keys[name][:0]])
            held_out = held_out_science if name == "train" else held_out_science[:0]
            counts[name] = _write_split(writer, name, published[name], keys[name], later, held_out)
    return counts


def _write_split(
    writer: AlertWriter,
    name: str,
    split: StampSplit,
    keys: np.ndarray,
    later_keys: np.ndarray,
    held_out_science: np.ndarray,
) -> dict[str, int]:
    first, copies, group = curation.first_of_each(keys)
    contradictory = curation.contradictory(split.labels, group, len(first))
    twin = np.isin(keys[first], later_keys) & ~contradictory
    good = ~contradictory & ~twin
    count = {
        "read": len(keys),
        "collapsed_duplicates": 0,
        "dropped_contradictory_label": int(copies[contradictory].sum()),
        "dropped_twin_in_later_split": int(copies[twin].sum()),
        "dropped_constant": 0,
        "dropped_in_held_out_series": 0,
        "kept": 0,
        "masked_pixels": 0,
    }
    impossible = 0
    chosen, chosen_copies = first[good], copies[good]
    for block in curation.blocks(len(chosen), f"stamps {name}"):
        rows, n_copies = chosen[block], chosen_copies[block]
        images, lost = _masked(np.moveaxis(split.images[rows], -1, 1))
        constant = curation.is_constant(images)
        science = curation.canonical_digests(crop(images[:, 0], CROP))
        held_out = np.isin(science, held_out_science) & ~constant
        keep = ~constant & ~held_out
        count["dropped_constant"] += int(n_copies[constant].sum())
        count["dropped_in_held_out_series"] += int(n_copies[held_out].sum())
        count["collapsed_duplicates"] += int((n_copies[keep] - 1).sum())
        count["kept"] += int(keep.sum())
        count["masked_pixels"] += int(lost[keep].sum())
        metadata = split.features[rows[keep]]
        unit = writer.info.feature_unit
        if unit == PHYSICAL:
            metadata = ALERCE_FEATURES.invert_zscore(metadata)
        possible = ALERCE_FEATURES.mask_impossible(metadata, unit)
        impossible += int(np.isfinite(metadata).sum() - np.isfinite(possible).sum())
        writer.write(
            {
                "object_id": [f"stamps:{name}:{row}" for row in rows[keep]],
                "detection": np.zeros(keep.sum(), dtype=np.int16),
                "split": [name] * int(keep.sum()),
                "label": split.labels[rows[keep]],
                "n_copies": n_copies[keep],
                "stamps": np.ascontiguousarray(images[keep]),
                **dict(zip(ALERCE_FEATURES.names, possible.T, strict=True)),
            }
        )
    if impossible:
        logging.warning("%s: %d features that cannot be are left out", name, impossible)
    for label, class_name in enumerate(CLASSES):
        count[f"read_{class_name}"] = int((split.labels == label).sum())
    return count


def _series_stamps(arrays: SeriesArrays, objects: np.ndarray) -> np.ndarray:
    science = arrays.science[objects]
    template = np.broadcast_to(arrays.template[objects][:, None], science.shape)
    # Science first: the published code put the template first, before an encoder that had
    # learned the other order.
    stamps = np.stack([science, template, arrays.difference[objects]], axis=2)
    return stamps.reshape(-1, *stamps.shape[2:])


def _masked(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mask unusable pixels; give the stamps and how many pixels each row lost."""
    masked = mask_pixels(stamps)
    return masked, np.isnan(masked).sum(axis=(1, 2, 3))

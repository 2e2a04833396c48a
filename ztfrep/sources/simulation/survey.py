"""A writer of the simulated survey as the two published pickles, with their duplicates."""

import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.files import replacing
from ztfrep.errors import InputError
from ztfrep.sources.simulation import scene, scene_sampler
from ztfrep.sources.simulation.exposures import expose
from ztfrep.sources.simulation.metadata import physical_features

STAMPS, SERIES = "td_ztf_stamp_17_06_20.pkl", "recurrent_dataset.pk"
# Numbers of distinct stamps by class in the published Train, and of series in the second data set.
_TRAIN = (14_542, 1_396, 14_517, 9_599, 10_528)
_TEST_PER_CLASS = 100
_SERIES = {scene.AGN: 26_190, scene.SN: 1_502, scene.VS: 49_454}
_DETECTIONS = 3
_CHUNK = 250


def train_counts(scale: float) -> np.ndarray:
    """Return the number of distinct stamps of each class in Train: int `(5,)`."""
    return np.maximum(np.rint(np.array(_TRAIN) * scale), 8).astype(int)


def series_counts(scale: float) -> dict[int, int]:
    """Return the number of series per class, with at least 40 supernovae for each split."""
    supernovae = _SERIES[scene.SN]
    train, test = max(40, round((supernovae - 150) * scale)), max(40, round(75 * scale))
    fraction = (train + 2 * test) / supernovae
    return {label: round(count * fraction) for label, count in _SERIES.items()}


def write_survey(
    folder: Path, *, scale: float, seed: int, progress: bool = True
) -> tuple[Path, Path]:
    """Simulate the survey and write its two pickles; both appear, or neither.

    `scale` 1.0 is the published size (7 GB of memory while it is written); it shrinks Train alone.
    The same scale and seed write the same bytes. Raises InputError for a scale outside (0, 1].
    """
    if not 0 < scale <= 1:
        raise InputError(
            "sources.sample.scale", found=f"{scale}", expected="more than 0, at most 1",
            remedy="1.0 is the published size",
        )  # fmt: skip
    folder = Path(folder)
    paths = folder / STAMPS, folder / SERIES
    with ExitStack() as stack:
        files = [stack.enter_context(replacing(path)) for path in paths]
        for file, content in zip(
            files,
            (
                _simulate_first_alerts(scale, seed, progress),
                _simulate_series(scale, seed, progress),
            ),
            strict=True,
        ):
            with file.open("wb") as opened:
                pickle.dump(content, opened, protocol=4)
            del content
    return paths


def _simulate_first_alerts(
    scale: float, seed: int, progress: bool
) -> dict[str, dict[str, np.ndarray]]:
    """Simulate the first data set: Train balanced by duplication, Validation in class order."""
    rng = np.random.default_rng([seed, 0])
    counts = train_counts(scale)
    distinct = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    classes = np.arange(len(counts))
    test = np.repeat(classes, _TEST_PER_CLASS)
    splits = {}
    for index, (name, labels) in enumerate(
        (("Train", distinct), ("Validation", test), ("Test", rng.permutation(test)))
    ):
        rows = _balance(labels, rng) if name == "Train" else np.arange(len(labels))
        images = np.empty((len(rows), 63, 63, 3), np.float32)
        scores = np.empty((len(rows), len(ALERCE_FEATURES)))
        done = 0
        chunks = _simulate(labels, 1, 63, [seed, 1, index], name, progress, scene.FIRST_ALERTS)
        for stamps, metadata in chunks:
            # Stacked (n, 1, 3, H, W) to the published channels-last order.
            images[done : done + len(stamps)] = np.moveaxis(stamps[:, 0], 1, -1)
            scores[done : done + len(stamps)] = ALERCE_FEATURES.zscore(metadata)
            done += len(stamps)
        # The distinct stamps are the first rows, and copies follow. Then all rows are shuffled.
        images[done:], scores[done:] = images[rows[done:]], scores[rows[done:]]
        order = rng.permutation(len(rows)) if name == "Train" else rows
        splits[name] = {
            "images": _reorder(images, order),
            "labels": labels[rows][order].astype(np.int64),
            "features": scores[order].astype(object),
        }
    return splits


def _balance(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows with equal numbers of each class: all rows first, then copies."""
    counts = np.bincount(labels)
    copies = []
    for label, count in enumerate(counts):
        members = np.flatnonzero(labels == label)
        whole, rest = divmod(counts.max() - count, count)
        copies += [np.repeat(members, whole), rng.choice(members, rest, replace=False)]
    return np.concatenate([np.arange(len(labels)), *copies])


def _reorder(images: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Reorder in place, one cycle of the permutation after the other, to save memory."""
    pending = np.ones(len(order), bool)
    for start in range(len(order)):
        if not pending[start]:
            continue
        first, row = images[start].copy(), start
        while order[row] != start:
            images[row] = images[order[row]]
            pending[row] = False
            row = order[row]
        images[row] = first
        pending[row] = False
    return images


def _simulate_series(scale: float, seed: int, progress: bool) -> dict[str, np.ndarray]:
    """Simulate the second data set: three detections of an object, no split, no metadata."""
    rng = np.random.default_rng([seed, 2])
    counts = series_counts(scale)
    labels = rng.permutation(np.repeat(list(counts), list(counts.values())))
    n, shape = len(labels), (27, 27)
    template = np.empty((n, *shape), np.float32)
    science = np.empty((n, _DETECTIONS, *shape), np.float32)
    difference = np.empty_like(science)
    done = 0
    chunks = _simulate(labels, _DETECTIONS, 27, [seed, 3], "series", progress, scene.SERIES)
    for stamps, _ in chunks:
        rows = slice(done, done + len(stamps))
        science[rows], difference[rows] = stamps[:, :, 0], stamps[:, :, 2]
        template[rows] = stamps[:, 0, 1]
        done = rows.stop
    return {
        "template": template,
        "science": science,
        "difference": difference,
        "labels": labels.astype(np.float64),
    }


def _simulate(
    labels: np.ndarray,
    exposures: int,
    size: int,
    seed: list[int],
    name: str,
    progress: bool,
    composition: scene.Composition,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Simulate alerts of classes `(n,)`: stamps `(m, exposures, 3, size, size)` and features."""
    with tqdm(
        total=len(labels), desc=f"simulate {name}", unit=" rows", disable=None if progress else True
    ) as bar:
        for chunk, start in enumerate(range(0, len(labels), _CHUNK)):
            # Each chunk has its own random numbers, and does not depend on the others.
            rng = np.random.default_rng([*seed, chunk])
            scenes = scene_sampler.draw(labels[start : start + _CHUNK], exposures, rng, composition)
            science, template, difference, sign = expose(scenes, size, rng)
            templates = np.broadcast_to(template[:, None], science.shape)
            stamps = np.stack([science, templates, difference], axis=2)
            yield _min_max(stamps), physical_features(scenes, sign[:, 0], rng)
            bar.update(len(scenes))


def _min_max(stamps: np.ndarray) -> np.ndarray:
    """Scale every stamp to [0, 1] over all its pixels, as the published files are."""
    low = stamps.min(axis=(-2, -1), keepdims=True)
    return (stamps - low) / (stamps.max(axis=(-2, -1), keepdims=True) - low)

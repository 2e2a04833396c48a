"""A writer of the simulated survey as the two published pickles, with their duplicates."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from loky import cpu_count
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.files import replacing
from ztfrep.errors import InputError
from ztfrep.sources.simulation import scene, scene_sampler
from ztfrep.sources.simulation.array_pickle import ArrayPickle, LargeArray
from ztfrep.sources.simulation.exposures import expose
from ztfrep.sources.simulation.metadata import physical_features

STAMPS, SERIES = "td_ztf_stamp_17_06_20.pkl", "recurrent_dataset.pk"
# Numbers of distinct stamps by class in the published Train, and of series in the second data set.
_TRAIN = (14_542, 1_396, 14_517, 9_599, 10_528)
_TEST_PER_CLASS = 100
_SERIES = {scene.AGN: 26_190, scene.SN: 1_502, scene.VS: 49_454}
_DETECTIONS = 3
_CHUNK = 250
_MAX_THREADS = 8  # A chunk takes some 100 MB.


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
    folder: Path, *, scale: float, seed: int, progress: bool = True, threads: int | None = None
) -> tuple[Path, Path]:
    """Simulate the survey and write its two pickles; both appear, or neither.

    `scale` 1.0 is the published size; it shrinks Train alone. Stamps are written as they are
    simulated, so that memory does not grow with the scale, but for the features. The same scale and
    seed write the same bytes with any number of `threads`; None is one per core, at most 8. Raises
    InputError for a scale outside (0, 1].
    """
    if not 0 < scale <= 1:
        raise InputError(
            "sources.sample.scale", found=f"{scale}", expected="more than 0, at most 1",
            remedy="1.0 is the published size",
        )  # fmt: skip
    folder = Path(folder)
    paths = folder / STAMPS, folder / SERIES
    simulator = _Simulator(seed, threads or min(cpu_count(), _MAX_THREADS), progress)
    with ExitStack() as stack:
        # Sums of matrix products may be rounded in another way by several threads.
        stack.enter_context(threadpool_limits(limits=1))
        files = [stack.enter_context(replacing(path)) for path in paths]
        for file, write in zip(files, (_write_first_alerts, _write_series), strict=True):
            with file.open("wb") as opened:
                pickle = ArrayPickle(opened)
                write(pickle, scale, simulator)
                pickle.finish()
    return paths


class _Simulator(NamedTuple):
    """Simulates alerts, several chunks at once, whose results do not depend on the number."""

    seed: int
    threads: int
    progress: bool

    def simulate(
        self,
        labels: np.ndarray,
        exposures: int,
        size: int,
        stream: Sequence[int],
        name: str,
        composition: scene.Composition,
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Simulate alerts of classes `(n,)`, of random numbers of their own for every `stream`.

        Yields the first row of a chunk of m rows, its stamps `(m, exposures, 3, size, size)` and
        its features, in the order of rows.
        """

        def simulate_chunk(chunk: int) -> tuple[int, np.ndarray, np.ndarray]:
            # Each chunk has its own random numbers, and does not depend on the others.
            rng = np.random.default_rng([self.seed, *stream, chunk])
            start = chunk * _CHUNK
            scenes = scene_sampler.draw(labels[start : start + _CHUNK], exposures, rng, composition)
            science, template, difference, sign = expose(scenes, size, rng)
            templates = np.broadcast_to(template[:, None], science.shape)
            stamps = np.stack([science, templates, difference], axis=2)
            return start, _min_max(stamps), physical_features(scenes, sign[:, 0], rng)

        disable = None if self.progress else True
        with (
            tqdm(total=len(labels), desc=f"simulate {name}", unit=" rows", disable=disable) as bar,
            ThreadPoolExecutor(self.threads) as pool,
        ):
            waiting: deque[Future[tuple[int, np.ndarray, np.ndarray]]] = deque()
            chunks = iter(range(-(-len(labels) // _CHUNK)))
            try:
                for chunk in islice(chunks, self.threads + 1):
                    waiting.append(pool.submit(simulate_chunk, chunk))
                while waiting:
                    result = waiting.popleft().result()
                    # Before the result is used: no thread waits for that.
                    for chunk in islice(chunks, 1):
                        waiting.append(pool.submit(simulate_chunk, chunk))
                    yield result
                    bar.update(len(result[1]))
            finally:
                for future in waiting:
                    future.cancel()


def _write_first_alerts(file: ArrayPickle, scale: float, simulator: _Simulator) -> None:
    """Write the first data set: Train balanced by duplication, Validation in class order."""
    rng = np.random.default_rng([simulator.seed, 0])
    counts = train_counts(scale)
    distinct = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    test = np.repeat(np.arange(len(counts)), _TEST_PER_CLASS)
    labels = {"Train": distinct, "Validation": test, "Test": rng.permutation(test)}
    # The row of the distinct stamp in every row of the file.
    rows = {name: np.arange(len(values)) for name, values in labels.items()}
    rows["Train"] = rng.permutation(_balance(distinct, rng))
    content: dict[str, dict[str, Any]] = {
        name: {
            "images": LargeArray((len(rows[name]), 63, 63, 3), np.float32),
            "labels": labels[name][rows[name]].astype(np.int64),
            "features": np.zeros((len(rows[name]), len(ALERCE_FEATURES))).astype(object),
        }
        for name in labels
    }
    file.write_content(content)
    for index, (name, arrays) in enumerate(content.items()):
        scores = np.empty((len(labels[name]), len(ALERCE_FEATURES)))
        by_stamp = np.argsort(rows[name], kind="stable")
        ends = np.cumsum(np.bincount(rows[name]))
        copies = np.split(by_stamp, ends[:-1])
        for start, stamps, metadata in simulator.simulate(
            labels[name], 1, 63, [1, index], name, scene.FIRST_ALERTS
        ):
            scores[start : start + len(stamps)] = ALERCE_FEATURES.zscore(metadata)
            # Stacked (n, 1, 3, H, W) to the published channels-last order.
            images = np.ascontiguousarray(np.moveaxis(stamps[:, 0], 1, -1))
            for row in range(len(images)):
                for copy in copies[start + row]:
                    file.write_rows(arrays["images"], copy, images[row : row + 1])
        # Written with the rest at the end.
        arrays["features"] = scores[rows[name]].astype(object)


def _balance(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows with equal numbers of each class: all rows first, then copies."""
    counts = np.bincount(labels)
    copies = []
    for label, count in enumerate(counts):
        members = np.flatnonzero(labels == label)
        whole, rest = divmod(counts.max() - count, count)
        copies += [np.repeat(members, whole), rng.choice(members, rest, replace=False)]
    return np.concatenate([np.arange(len(labels)), *copies])


def _write_series(file: ArrayPickle, scale: float, simulator: _Simulator) -> None:
    """Write the second data set: three detections of an object, no split, no metadata."""
    rng = np.random.default_rng([simulator.seed, 2])
    counts = series_counts(scale)
    labels = rng.permutation(np.repeat(list(counts), list(counts.values())))
    n, shape = len(labels), (27, 27)
    template = LargeArray((n, *shape), np.float32)
    science, difference = (LargeArray((n, _DETECTIONS, *shape), np.float32) for _ in range(2))
    file.write_content(
        {
            "template": template,
            "science": science,
            "difference": difference,
            "labels": labels.astype(np.float64),
        }
    )
    for start, stamps, _ in simulator.simulate(
        labels, _DETECTIONS, 27, [3], "series", scene.SERIES
    ):
        file.write_rows(template, start, stamps[:, 0, 1])
        file.write_rows(science, start, stamps[:, :, 0])
        file.write_rows(difference, start, stamps[:, :, 2])


def _min_max(stamps: np.ndarray) -> np.ndarray:
    """Scale every stamp to [0, 1] over all its pixels, as the published files are."""
    low = stamps.min(axis=(-2, -1), keepdims=True)
    return (stamps - low) / (stamps.max(axis=(-2, -1), keepdims=True) - low)

"""The map of 100,000 alerts: seconds until it is seen, and the memory of browser and server.

    python -m benchmarks.explorer /absolute/folder            # 100,000 rows, 1.2 GB in the folder

The catalogue is that of the pipeline's sample, resampled: vectors between two random alerts with
noise, and the stamps and numbers of the first. The browser is a headless Chromium, and draws by
software. The time of the first paint is counted from the start of the navigation. A process's
memory is its proportional set size: pages that processes share count once.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.measuring import save
from benchmarks.similarity import resample
from ztfrep.catalogues.catalogue import objects_path, read_catalogue, write_catalogue
from ztfrep.catalogues.catalogue_rows import preview_column
from ztfrep.catalogues.catalogue_schema import LIGHT_CURVE, OBJECTS, CatalogueInfo
from ztfrep.catalogues.encoding import encode_paths
from ztfrep.data.files import replacing
from ztfrep.encoders.encoder import load

ROOT = Path(__file__).parents[1]
_ROWS_PER_CHUNK, _ALERTS_PER_OBJECT, _OBSERVATIONS = 5_000, 3, 12
_CANDID, _MJD = 1_234_567_890_123_456_789, 59_000.0
_RUNS, _POINTED, _SECONDS = 3, 50, 3.0
_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = (
    "--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
_PAINTED = "performance.getEntriesByName('first-paint-of-points')"
# Frames that the page draws while something moves on it.
_COUNT_FRAMES = """() => {
  window.benchmarkFrames = 0;
  const count = () => { window.benchmarkFrames += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
}"""


def main() -> None:
    """Make the catalogue, if it is not there, measure, and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--sample", type=Path, help="a catalogue of alerts, by default encoded")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"map-{options.rows}.parquet"
    if not path.exists():
        sample = options.sample or options.folder / "sample.parquet"
        if not sample.exists():
            encode_paths(load(ROOT / "data/models"), ROOT / "data/parquet/stamps.parquet", sample)
        _write(path, sample, options.rows)
    path.with_suffix(".projections").unlink(missing_ok=True)
    with _serving(path) as (_, url, first_start):
        pass
    with _serving(path) as (process, url, second_start):
        server_idle = _mib(psutil.Process(process.pid))
        runs = [_measure_page(url) for _ in range(_RUNS)]
        details, stamps = (_latency(url, options.rows, name) for name in ("details", "stamps"))
        server_used = _mib(psutil.Process(process.pid))
    result: dict[str, Any] = {
        "rows": options.rows,
        "catalogue_mb": round(path.stat().st_size / 1e6),
        "first_start_s": round(first_start, 1),
        "second_start_s": round(second_start, 2),
        "server_mib": {"at_start": server_idle, "after_requests": server_used},
        "details_ms": details,
        "stamps_ms": stamps,
        "runs": runs,
    }
    for key in ("first_paint_s", "js_heap_mb", "page_process_mb", "frames_per_s"):
        result[key] = round(statistics.median(run[key] for run in runs), 2)
    save("explorer", result, [key for key in result if key != "runs"])


def _write(path: Path, sample: Path, rows: int) -> None:
    """Write a catalogue of alerts, and one of their objects."""
    known, generator = read_catalogue(sample), np.random.default_rng(0)
    encoded, previews = known.vectors(), known.previews(range(len(known)))
    if previews is None:
        raise ValueError("a sample without previews")
    info = CatalogueInfo(
        "alerts", known.info.classes, encoded.shape[1], known.info.model, known.info.version,
        previews.shape[-1], labelled=known.info.labelled,
    )  # fmt: skip

    def chunks() -> Iterator[pa.Table]:
        for start in range(0, rows, _ROWS_PER_CHUNK):
            n = min(_ROWS_PER_CHUNK, rows - start)
            vectors, first = resample(encoded, generator, n)
            number = np.arange(start, start + n)
            # Turned, so that not many images have the same bytes.
            turned = np.rot90(previews[first], int(start / _ROWS_PER_CHUNK) % 4, axes=(2, 3))
            columns = {
                **{str(name): values for name, values in known.table.iloc[first].items()},
                "object_id": [_object_id(row // _ALERTS_PER_OBJECT) for row in number],
                "candid": _CANDID + number,
                "mjd": _MJD + generator.uniform(0, 1000, n),
                "fid": generator.integers(1, 3, n),
                "vector": _vector_column(vectors),
                "preview": preview_column(turned),
            }
            yield _table(info, columns)

    with replacing(path) as temporary:
        write_catalogue(temporary, info, chunks())
    n_objects = -(-rows // _ALERTS_PER_OBJECT)
    objects = CatalogueInfo(OBJECTS, info.classes, encoded.shape[1], info.model, info.version)
    with replacing(objects_path(path)) as temporary:
        write_catalogue(temporary, objects, iter([_objects(objects, encoded, n_objects)]))


def _objects(info: CatalogueInfo, encoded: np.ndarray, n: int) -> pa.Table:
    generator = np.random.default_rng(1)
    size = n * _OBSERVATIONS
    limit = generator.uniform(size=size) < 0.3
    observations = {
        "mjd": _MJD + np.sort(generator.uniform(0, 1000, (n, _OBSERVATIONS)), axis=1).ravel(),
        "fid": generator.integers(1, 3, size),
        "magpsf": np.where(limit, np.nan, generator.normal(18.5, 0.8, size)),
        "sigmapsf": np.where(limit, np.nan, generator.uniform(0.02, 0.2, size)),
        "diffmaglim": generator.normal(20, 0.3, size),
    }
    points = pa.StructArray.from_arrays(
        [pa.array(observations[f.name], f.type, from_pandas=True) for f in LIGHT_CURVE.value_type],
        fields=list(LIGHT_CURVE.value_type),
    )
    offsets = pa.array(np.arange(0, size + 1, _OBSERVATIONS), pa.int32())
    columns = {
        "object_id": sorted(_object_id(number) for number in range(n)),
        "light_curve": pa.ListArray.from_arrays(offsets, points),
        "vector": _vector_column(resample(encoded, generator, n)[0]),
        "n_observations": np.full(n, _OBSERVATIONS),
        **{name: np.full(n, 1 / len(info.classes)) for name in info.probability_columns},
    }
    return _table(info, columns)


def _table(info: CatalogueInfo, columns: dict[str, Any]) -> pa.Table:
    arrays = {}
    for field in info.schema():
        values = columns.get(field.name)
        if isinstance(values, pa.Array):
            arrays[field.name] = values
        else:
            n = len(columns["vector"])
            arrays[field.name] = (
                pa.nulls(n, field.type)
                if values is None
                else pa.array(values, from_pandas=True).cast(field.type)
            )
    return pa.table(arrays)


def _vector_column(vectors: np.ndarray) -> pa.Array:
    flat = pa.array(vectors.astype(np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def _object_id(number: int) -> str:
    letters = ""
    for _ in range(7):
        number, letter = divmod(number, 26)
        letters = chr(ord("a") + letter) + letters
    return f"ZTF20{letters}"


@contextmanager
def _serving(path: Path) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """Yield a server of the map, its address, and the seconds until it was ready."""
    start = time.perf_counter()
    command = [sys.executable, "-u", "-c", "from ztfrep.cli import main; main()", "explore"]
    with subprocess.Popen(
        [*command, str(path), "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        seconds = time.perf_counter() - start
        try:
            if found is None:
                raise RuntimeError("the server did not start")
            yield process, found[0], seconds
        finally:
            process.terminate()


def _latency(url: str, rows: int, name: str) -> dict[str, float]:
    """Return the milliseconds of the details, or the stamps, of random rows."""
    pattern = {"details": "data/details-{}.js", "stamps": "stamps/{}.png"}[name]
    times = []
    for row in np.random.default_rng(2).integers(0, rows, 200):
        start = time.perf_counter()
        with urllib.request.urlopen(url + pattern.format(row), timeout=60) as answer:
            answer.read()
        times.append(1000 * (time.perf_counter() - start))
    # The first loads what is slow to import.
    times = times[1:]
    return {
        "median": round(float(np.median(times)), 1),
        "percentile_95": round(float(np.percentile(times, 95)), 1),
    }


def _measure_page(url: str) -> dict[str, float]:
    """Open the page in a new browser; return its times and memory."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_ARGUMENTS))
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            empty = _browser_mib()
            page.goto(url)
            page.evaluate("() => ztfrepMap.ready.then(() => null)")
            first_paint = page.evaluate(f"{_PAINTED}[0].startTime") / 1000
            at_paint = _browser_mib()
            # Identifiers come after the first paint.
            page.wait_for_load_state("networkidle")
            loaded = _browser_mib()
            heap = _heap_mb(page)
            for row in np.random.default_rng(3).integers(0, 1000, _POINTED):
                page.evaluate(f"ztfrepMap.pin({int(row)})")
                page.wait_for_timeout(50)
            used = _browser_mib()
            frames = _frames_per_second(page)
            return {
                "first_paint_s": round(first_paint, 3),
                "js_heap_mb": round(heap, 1),
                "js_heap_after_details_mb": round(_heap_mb(page), 1),
                "empty_page_process_mb": round(empty["renderer"], 1),
                "page_process_at_first_paint_mb": round(at_paint["renderer"], 1),
                "page_process_mb": round(loaded["renderer"], 1),
                "page_process_after_details_mb": round(used["renderer"], 1),
                "drawing_process_mb": round(used["gpu-process"], 1),
                "frames_per_s": round(frames, 1),
            }
        finally:
            browser.close()


def _frames_per_second(page: Any) -> float:
    """Zoom in and out and drag for some seconds; return the frames drawn in one."""
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.evaluate(_COUNT_FRAMES)
    start = time.perf_counter()
    step = 0
    while time.perf_counter() - start < _SECONDS:
        step += 1
        if step % 40 < 20:
            page.mouse.wheel(0, -60 if step % 80 < 40 else 60)
        else:
            if step % 40 == 20:
                page.mouse.down()
            page.mouse.move(x + 5 * (step % 20), y + 3 * (step % 20))
            if step % 40 == 39:
                page.mouse.up()
                page.mouse.move(x, y)
    return float(page.evaluate("window.benchmarkFrames") / (time.perf_counter() - start))


def _heap_mb(page: Any) -> float:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return float(metrics["JSHeapUsedSize"] / 1e6)


def _browser_mib() -> dict[str, float]:
    """Return the memory in MB of the largest process of each kind of this program's browser."""
    sizes: dict[str, float] = {"renderer": 0.0, "gpu-process": 0.0}
    for child in psutil.Process().children(recursive=True):
        try:
            kind = re.search(r"--type=(renderer|gpu-process)", " ".join(child.cmdline()))
            if kind:
                sizes[kind[1]] = max(sizes[kind[1]], child.memory_full_info().pss / 1e6)
        except psutil.NoSuchProcess:
            continue
    return sizes


def _mib(process: psutil.Process) -> float:
    return round(process.memory_full_info().pss / 2**20, 1)


if __name__ == "__main__":
    main()

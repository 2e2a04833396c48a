"""A folder of a map with random rows: the files that the page reads, without a catalogue.

python -m tests.explorer.random_map FOLDER [ROWS]
"""

import base64
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import ztfrep
from ztfrep import palette

PAGE = Path(ztfrep.__file__).parent / "explorer" / "web" / "dist"
HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = ["AGN", "SN", "VS", "asteroid", "bogus"]
VALUES = [*CLASSES, HOSTILE]
CHANNELS = ["science", "template", "difference"]
SIZE = 63
NONE = 255


class RandomMap:
    """What is in a folder of a map: the values that tests compare the page with."""

    def __init__(
        self,
        path: Path,
        n: int = 600,
        *,
        seed: int = 0,
        detail_rows: int = 1,
        stamp_rows: int = 1,
        stamps: bool = True,
        detailed: int | None = None,
        projections: tuple[str, ...] = ("umap", "pca"),
    ) -> None:
        random = np.random.default_rng(seed)
        self.path, self.n = path, n
        self.classes = random.integers(0, len(VALUES), n).astype(np.uint8)
        self.classes[random.random(n) < 0.3] = NONE
        self.predicted = random.integers(0, len(CLASSES), n).astype(np.uint8)
        labelled = self.classes < len(CLASSES)
        agree = labelled & (random.random(n) < 0.8)
        self.predicted[agree] = self.classes[agree]
        self.splits = random.integers(0, 3, n).astype(np.uint8)
        self.magnitudes = random.normal(18.5, 1.2, n).astype(np.float32)
        self.magnitudes[random.random(n) < 0.02] = np.nan
        self.scores = random.gamma(2.0, 0.1, n).astype(np.float32)
        self.times = random.uniform(58800, 59600, n)
        self.object_ids = [f"ZTF{18 + i // 2 % 5}a{_letters(i // 2)}" for i in range(n)]
        first = 1_234_567_890_123_456_789
        self.candids = [str(first + 7 * i) for i in range(n)]
        angle = 2 * np.pi * self.predicted / len(CLASSES)
        centre = 0.6 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        spread = np.where(self.predicted[:, None] % 2, 0.16, 0.09)
        self.positions = {
            name: np.clip(
                centre[:, :: 1 - 2 * k] + spread * random.normal(size=(n, 2)), -1, 1
            ).astype("<f4")
            for k, name in enumerate(projections)
        }
        self._random = random
        shutil.copytree(PAGE, path, dirs_exist_ok=True)
        (path / "data").mkdir(exist_ok=True)
        (path / "stamps").mkdir(exist_ok=True)
        self._write("map", self._map(detail_rows, stamp_rows if stamps else None))
        for name, positions in self.positions.items():
            self._write(f"projection-{name}", _base64(positions))
        columns: list[tuple[str, NDArray]] = [
            ("class", self.classes),
            ("predicted_class", self.predicted),
            ("split", self.splits),
            ("magpsf", self.magnitudes),
            ("anomaly_score", self.scores),
            ("mjd", self.times),
        ]
        for name, values in columns:
            self._write(f"column-{name}", _base64(values))
        self._write("ids", {"object_id": self.object_ids, "candid": self.candids})
        rows = n if detailed is None else detailed
        self.details = [self._details(row) for row in range(rows)]
        for k in range(-(-rows // detail_rows)):
            block = self.details[k * detail_rows : (k + 1) * detail_rows]
            self._write(f"details-{k}", block)
        if stamps:
            for k in range(-(-rows // stamp_rows)):
                block = [self.stamps(row) for row in range(k * stamp_rows, (k + 1) * stamp_rows)]
                self._png(k, np.concatenate(block))

    def stamps(self, row: int) -> NDArray[np.uint8]:
        """Return the three stamps of a row side by side, shape (63, 189): 0 is masked."""
        random = np.random.default_rng((7, row))
        y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
        images = []
        for channel in range(3):
            noise = random.normal(60, 12, (SIZE, SIZE))
            width = 2.0 + random.random()
            star = np.exp(-(x**2 + y**2) / (2 * width**2)) * (180, 90, 150)[channel]
            dx, dy = random.integers(-24, 24, 2)
            other = 140 * np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / 6) * (channel < 2)
            images.append(noise + star + other)
        pixels = np.clip(np.concatenate(images, axis=1), 1, 255).astype(np.uint8)
        if row % 5 == 0:
            pixels[:, :20] = 0
        return pixels

    def colours(self, row: int) -> NDArray[np.uint8]:
        """Return the stamps of a row as the page shows them, shape (63, 189, 3)."""
        table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        table[0] = _rgb(palette.MASKED)
        return table[self.stamps(row)]

    def _png(self, k: int, pixels: NDArray[np.uint8]) -> None:
        image = Image.fromarray(pixels, "L").convert("P")
        table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        table[0] = _rgb(palette.MASKED)
        image.putpalette(table.tobytes())
        image.save(self.path / "stamps" / f"{k}.png")

    def _map(self, detail_rows: int, stamp_rows: int | None) -> dict:
        colours = [palette.class_colour(i) for i in range(len(VALUES))]

        def number(name: str, title: str, values: NDArray, **more: object) -> dict:
            low, high = np.nanpercentile(values, [1, 99])
            limits = {"low": float(low), "high": float(high)}
            kind = {"kind": "number", "type": values.dtype.name}
            return {"name": name, "title": title, **kind, **limits, **more}

        def category(name: str, title: str, values: list[str]) -> dict:
            shown = colours[: len(values)]
            return {
                "name": name,
                "title": title,
                "kind": "category",
                "values": values,
                "colours": shown,
            }

        return {
            "title": "vectors.parquet",
            "rows": "alerts",
            "n": self.n,
            "version": "1",
            "model": "random",
            "classes": CLASSES,
            "colours": list(palette.COLOURS),
            "numbers": list(palette.NUMBERS),
            "unlabelled": palette.UNLABELLED,
            "masked": palette.MASKED,
            "filters": {str(fid): list(value) for fid, value in palette.FILTERS.items()},
            "projections": list(self.positions),
            "projection_notes": {"pca": "37 % of the variance"},
            "columns": [
                category("class", "class", VALUES),
                category("predicted_class", "predicted class", CLASSES),
                category("split", "split", ["train", "validation", "test"]),
                number("magpsf", "magnitude", self.magnitudes, unit="mag", reversed=True),
                number("anomaly_score", "anomaly score", self.scores),
                number("mjd", "time", self.times, unit="MJD"),
            ],
            "detail_rows": detail_rows,
            "stamps": stamp_rows
            and {
                "rows": stamp_rows,
                "size": SIZE,
                "channels": CHANNELS,
            },
            "neighbours": 10,
            "notes": ["30 % of the rows have no label.", "Classes are random."],
        }

    def _details(self, row: int) -> dict:
        random = self._random
        detections = int(random.integers(3, 25))
        mjd = np.sort(self.times[row] + random.uniform(-60, 20, detections))
        mjd[detections // 2] = self.times[row]
        fid = random.integers(1, 3, detections)
        limit = random.random(detections) < 0.25
        limit[detections // 2] = False
        brightness = 18.5 + 0.8 * np.sin(mjd / 9) + 0.3 * (fid == 1)
        errors = random.uniform(0.03, 0.25, detections)
        probabilities = random.dirichlet(np.full(len(CLASSES), 0.4))
        positions = next(iter(self.positions.values()))
        distances = np.hypot(*(positions - positions[row]).T)
        near = np.argsort(distances)[1:11]
        fid_here, magnitude = int(fid[detections // 2]), self.magnitudes[row]
        return {
            "object_id": self.object_ids[row],
            "candid": self.candids[row],
            "ra": float(random.uniform(0, 360)),
            "dec": float(random.uniform(-30, 85)),
            "mjd": float(self.times[row]),
            "fid": fid_here,
            "magpsf": None if np.isnan(magnitude) else float(magnitude),
            "n_alerts": None,
            "n_observations": None,
            "probabilities": [float(p) for p in probabilities],
            "anomaly_score": 1.234,
            "anomaly": {
                "neighbour_distance": 0.21,
                "class_entropy": 0.4,
                "reconstruction_error": None,
            },
            "neighbours": [[int(i), float(distances[i])] for i in near],
            "light_curve": {
                "mjd": [float(t) for t in mjd],
                "fid": [int(f) for f in fid],
                "magpsf": [
                    None if out else float(m) for m, out in zip(brightness, limit, strict=True)
                ],
                "sigmapsf": [
                    None if out else float(e) for e, out in zip(errors, limit, strict=True)
                ],
                "diffmaglim": [float(20 + 0.5 * random.random()) for _ in mjd],
            },
            "link": f"https://alerce.online/object/{self.object_ids[row]}",
        }

    def _write(self, key: str, value: object) -> None:
        text = f"ztfrepData({json.dumps(key)}, {json.dumps(value)});\n"
        (self.path / "data" / f"{key}.js").write_text(text, encoding="utf-8")


def _letters(i: int) -> str:
    out = ""
    for _ in range(6):
        i, k = divmod(i, 26)
        out = chr(97 + k) + out
    return out


def _base64(values: NDArray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


if __name__ == "__main__":
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    RandomMap(Path(sys.argv[1]), rows)

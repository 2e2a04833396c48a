"""A run: the files of the pipeline that its report shows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ztfrep.data.strict_yaml import read_yaml
from ztfrep.errors import InputError
from ztfrep.report.file_readers import (
    REMEDY,
    Curve,
    Rows,
    numbers,
    read_bytes,
    read_curves,
    read_object,
    read_rows,
)

# The files of metrics, by their paths in the folder of metrics.
METRICS_FILES = (
    "stamps.json",
    "series.json",
    "stamps_validation.json",
    "series_validation.json",
    "autoencoder/metrics.json",
    "recurrent/metrics.json",
    "data.json",
)
NETWORKS = ("autoencoder", "recurrent")
# The columns of the plots, and those of them that are numbers.
_BINS = ("low", "high", "confidence", "accuracy", "rows")
_PLOTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "classifier_head": (("actual", "predicted"), ()),
    "recurrent": (("actual", "predicted"), ()),
    "calibration_alerts": (("label", *_BINS), _BINS),
    "calibration_objects": (("label", *_BINS), _BINS),
    "early": (("detections",), ("detections",)),
    **{
        f"{rows}_{method}": (("x", "y", "label"), ("x", "y"))
        for rows in ("alerts", "objects")
        for method in ("pca", "tsne")
    },
}
_PNG = b"\x89PNG\r\n\x1a\n"
# The pictures with the same content as a chart of the report.
_DRAWN_AS_CHARTS = ("confusion", "early", "loss", "methods", "pca", "tsne")


@dataclass(frozen=True, eq=False)
class Run:
    """The files of one run; what is missing is left out of the mappings.

    Attributes
    ----------
    params : dict
        The content of `params.yaml`.
    metrics : dict of dict
        The content of the JSON files, by the names of METRICS_FILES.
    curves : dict
        The curves of the networks' training, by network, name and split.
    plots : dict of list
        The rows of the CSV files, by their names without suffix.
    cards : dict of dict
        The model cards, by network.
    pictures : dict of bytes
        PNG files, by their paths in the folder of figures, without those that are drawn as charts.
    """

    params: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    curves: dict[str, dict[str, dict[str, Curve]]]
    plots: dict[str, Rows]
    cards: dict[str, dict[str, Any]]
    pictures: dict[str, bytes]

    @property
    def source(self) -> str:
        """The name of the source."""
        return str(self.params.get("source", "unknown"))

    def scores(self, name: str) -> dict[str, Any]:
        """Return the content of a file of metrics, empty without one."""
        return self.metrics.get(name, {})


def read_run(params: Path, metrics: Path, models: Path, figures: Path) -> Run:
    """Read the files of a run.

    `models` has the folders of the networks, and `figures` the folders of pictures. Raises
    InputError if there are no metrics at all, and for a file that is broken.
    """
    content = read_yaml(params)
    if not isinstance(content, dict):
        expected, remedy = "tables of parameters", "compare it with params.yaml in Git"
        raise InputError(params, found="no table", expected=expected, remedy=remedy)
    read = {name: read_object(metrics / name) for name in METRICS_FILES}
    if not any(part is not None for part in read.values()):
        found = "none of " + ", ".join(METRICS_FILES)
        remedy = "make them with dvc repro, or give the folder with --metrics"
        raise InputError(metrics, found=found, expected="the metrics of a run", remedy=remedy)
    cards = {name: read_object(models / name / "model.json") for name in NETWORKS}
    return Run(
        params=content,
        metrics={name: part for name, part in read.items() if part is not None},
        curves={name: read_curves(metrics / name / "plots/metrics") for name in NETWORKS},
        plots=_read_plots(metrics / "plots"),
        cards={name: card for name, card in cards.items() if card is not None},
        pictures=_read_pictures(figures),
    )


def _read_plots(folder: Path) -> dict[str, Rows]:
    plots = {}
    for name, (columns, numeric) in _PLOTS.items():
        path = folder / f"{name}.csv"
        rows = read_rows(path, columns)
        if rows is not None:
            for column in numeric:
                numbers(rows, column, path)
            plots[name] = rows
    return plots


def _read_pictures(folder: Path) -> dict[str, bytes]:
    pictures = {}
    for path in sorted(folder.rglob("*.png")):
        if path.stem not in _DRAWN_AS_CHARTS:
            content = read_bytes(path) or b""
            if not content.startswith(_PNG):
                raise InputError(path, found="no PNG", expected="a picture", remedy=REMEDY)
            pictures[path.relative_to(folder).as_posix()] = content
    return pictures

"""A small run of the pipeline: its parameters, metrics, plots, curves, cards and pictures."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

from ztfrep.report.report_page import write_report

ROOT = Path(__file__).parents[2]
CLASSES = ("AGN", "SN", "VS")
# The smallest PNG: one grey pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)


def scores(balanced, f1, margin=0.05):
    """Scores of a classifier with intervals of a margin."""
    found = {}
    for name, value in (("accuracy", 0.5), ("balanced_accuracy", balanced), ("macro_f1", f1)):
        found |= {name: value, f"{name}_low": value - margin, f"{name}_high": value + margin}
    return found


def with_ends(**values):
    """Values with intervals of 0.01."""
    found = {}
    for name, value in values.items():
        found |= {name: value, f"{name}_low": value - 0.01, f"{name}_high": value + 0.01}
    return found


def pairs(name, baseline, value):
    return {f"{name}_minus_{baseline}": scores(value, value, 0.02)}


def evaluation(rows, network, baseline, classes=CLASSES):
    return {
        rows: 4,
        network: scores(0.912, 0.911) | {"recall": dict.fromkeys(classes, 0.75)},
        baseline: scores(0.802, 0.795),
        "paired_differences": pairs(network, baseline, 0.11) | pairs("knn", baseline, 0.01),
        "calibration": with_ends(ece=0.226, brier=0.3),
        "calibrated": {"temperature": 0.449, **with_ends(ece=0.021, brier=0.25)},
        "prediction_sets": {
            "stated_coverage": 0.9,
            **with_ends(coverage=0.914, mean_class_coverage=0.913, mean_size=1.01),
            "empty": 0.03,
            "single": 0.94,
            "by_class": {classes[0]: with_ends(coverage=0.98) | {"mean_size": 1.5, "rows": 4}},
        },
        "retrieval": with_ends(precision_at_10=0.856, mean_average_precision=0.774),
        "clustering": with_ends(kmeans_nmi=0.759),
        "anomaly_detection": with_ends(auroc_mean=0.836, auroc_AGN=0.709) | {"top_10_AGN": 0.2},
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def write_csv(path, header, rows):
    write(path, "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")


def stamps_counts(read, collapsed, written):
    return {
        "read": read,
        "collapsed_duplicates": collapsed,
        "excluded_constant": 0,
        "written": written,
        "masked_pixels": 7,
        **{f"read_{name}": 10 for name in CLASSES},
    }


def write_run(folder, classes=CLASSES):
    """Write the files of a run below a folder; `classes` are names of the test rows' classes."""
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    metrics = folder / "metrics"
    alerts = evaluation("alerts", "classifier_head", "forest_on_features", classes)
    for name, mse in (("reconstruction", 0.00576), ("pca_reconstruction", 0.00606)):
        alerts[name] = {"mse": mse, "mse_low": mse / 2, "mse_high": mse * 2, "psnr": 22.4}
    alerts["paired_differences"]["reconstruction_minus_pca_reconstruction"] = with_ends(
        mse_reduction=0.0003
    )
    alerts["predicted_magpsf"] = with_ends(mean_absolute_error=0.763)
    objects = evaluation("objects", "network", "mean_alert_linear_probe", classes)
    objects["early_classification"] = {
        f"after_{count}": {
            "network": scores(value, value),
            "mean_alert_linear_probe": scores(0.7, 0.7),
            "paired_differences": pairs("network", "mean_alert_linear_probe", value - 0.7),
        }
        for count, value in ((1, 0.71), (3, 0.8), (10, 0.9))
    }
    errors = {"network": 0.361, "last_detection": 0.379, "gaussian_process": 0.5}
    objects["forecast_magnitude"] = {
        **{name: with_ends(mean_absolute_error=value) for name, value in errors.items()},
        "paired_differences": {
            "network_minus_last_detection": with_ends(mean_absolute_error=-0.018)
        },
    }
    for name, content in (("stamps", alerts), ("series", objects)):
        write(metrics / f"{name}.json", content)
        write(metrics / f"{name}_validation.json", content)
    write(
        metrics / "data.json",
        {
            "stamps": {
                "train": stamps_counts(2180, 662, 1518),
                "validation": stamps_counts(500, 0, 500),
                "test": stamps_counts(500, 1, 499),
            }
        },
    )
    plots = metrics / "plots"
    confusions = [(classes[0], classes[0]), (classes[1], classes[0]), (classes[2], classes[2])]
    for name in ("classifier_head", "recurrent"):
        write_csv(plots / f"{name}.csv", "actual,predicted", confusions)
    bins = [("before", 0.6, 0.66667, 0.63, 0.9, 40), ("after", 0.86667, 0.93333, 0.9, 0.88, 60)]
    for rows in ("alerts", "objects"):
        header = "label,low,high,confidence,accuracy,rows"
        write_csv(plots / f"calibration_{rows}.csv", header, bins)
        for method in ("pca", "tsne"):
            points = [(i, i * i, classes[i % 3]) for i in range(9)] + [(2, 3, "unlabelled")]
            write_csv(plots / f"{rows}_{method}.csv", "x,y,label", points)
    write_csv(plots / "early.csv", "detections,balanced_accuracy", [(1, 0.71)])
    for network in ("autoencoder", "recurrent"):
        write(metrics / network / "metrics.json", {"best_epoch": 1, "epochs": 2})
        for split in ("train", "validation"):
            text = "step\tloss\n0\t2.5\n1\t1.25\n2\t1.5\n"
            write(metrics / network / f"plots/metrics/{split}/loss.tsv", text)
        card = {"classes": list(CLASSES), "start_weights": "data/none"}
        card |= {"ztfrep": "0.1.0", "torch": "2.13.0+cpu"}
        write(folder / "data/models" / network / "model.json", card)
    figures = folder / "data/figures"
    for name in ("stamps/reconstruction.png", "stamps/loss.png", "series/alert.png"):
        (figures / name).parent.mkdir(parents=True, exist_ok=True)
        (figures / name).write_bytes(PNG)


def write_page(folder, **options):
    """Write the report of the run in a folder; return its text."""
    out = folder / "report.html"
    write_report(
        out,
        params=folder / "params.yaml",
        metrics=folder / "metrics",
        models=folder / "data/models",
        figures=folder / "data/figures",
        **options,
    )
    return out.read_text(encoding="utf-8")


class Element:
    """An element of a page: its name, its attributes, its elements and texts in order."""

    def __init__(self, name, attributes):
        self.name, self.attributes, self.content = name, attributes, []

    def all(self, name):
        """The elements of a name in it, in the order of the page."""
        for part in self.content:
            if isinstance(part, Element):
                if part.name == name:
                    yield part
                yield from part.all(name)

    def every(self):
        """Every element in it."""
        for part in self.content:
            if isinstance(part, Element):
                yield part
                yield from part.every()

    def text(self):
        texts = (part.text() if isinstance(part, Element) else part for part in self.content)
        return "".join(texts)

    def rows(self):
        """The texts of a table's cells, by row."""
        return [
            [cell.text() for cell in row.content if isinstance(cell, Element)]
            for row in self.all("tr")
        ]


class _Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].content.append(element)
        if tag not in ("meta", "img", "br"):
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop().name == tag

    def handle_data(self, data):
        self.open[-1].content.append(data)


def parse(page):
    """Return the elements of a page, each of which is closed."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    assert len(parser.open) == 1
    return parser.open[0]

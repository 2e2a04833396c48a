"""What the figures of a run cannot show, in sentences."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ztfrep.report.data_counts import count_classes
from ztfrep.report.number_text import format_count, plural
from ztfrep.report.run_files import Run

# Rows of a class below which its recall has an interval of 0.2 and more.
FEW_ROWS = 50
_CONFUSIONS = {"alerts": ("classifier_head", "stamps"), "objects": ("recurrent", "series")}
_SIMULATED = ("sample", "survey")
SOURCES = {
    "sample": "the embedded, simulated sample, written as the two published pickles",
    "survey": "the simulated survey, as alert packets",
    "local": "the user's own pickles",
    "drive": "the published pickles",
    "alerts": "alert packets",
}


def list_caveats(run: Run) -> list[str]:
    """Return a sentence for each limit of the figures of a run, the gravest first."""
    return [*_of_source(run), *_of_rows(run), *_of_start(run), *_always(run)]


def rows_of_classes(run: Run, rows: str) -> dict[str, int]:
    """Return the numbers of labelled test rows by class; `rows` is `alerts` or `objects`.

    Zeros are included for classes that other splits have.
    """
    plot, table = _CONFUSIONS[rows]
    data = count_classes(run.scores("data.json"), table)
    counted = Counter(row["actual"] for row in run.plots.get(plot, []))
    if not counted:
        return {name: counts.get("test", 0) for name, counts in data.items()}
    return {name: counted[name] for name in dict.fromkeys([*data, *sorted(counted)])}


def _of_source(run: Run) -> list[str]:
    table = _table(run.params, "sources", run.source)
    if run.source in _SIMULATED:
        sentences = [
            "The sky is simulated. The figures show that the pipeline works, and can be compared "
            "between runs; they are no measurement of the real sky."
        ]
        scale = table.get("scale")
        if isinstance(scale, int | float) and scale < 1:
            sentences.append(
                f"This is a smoke sample: sources.{run.source}.scale is {scale:g}, where 1 is the "
                "full size. More rows change every number."
            )
        return sentences
    if run.source == "alerts":
        return [
            "The labels are weak: they are the classes of another catalogue, matched by identifier "
            "and not checked by eye. A disagreement may be an error of the label, and objects that "
            "the catalogue left out are not in the scores."
        ]
    return [
        "The labels are weak: those of the published pickles are matches with catalogues, which "
        "have errors and leave out what is faint or rare."
    ]


def _of_rows(run: Run) -> list[str]:
    sentences = []
    for rows in _CONFUSIONS:
        classes = rows_of_classes(run, rows)
        absent = [name for name, count in classes.items() if not count]
        few = {name: count for name, count in classes.items() if 0 < count < FEW_ROWS}
        if few:
            listed = ", ".join(f"{name} {format_count(count)}" for name, count in few.items())
            sentences.append(
                f"Few labelled test {rows} of some classes: {listed}. Their recall, and every "
                "balanced accuracy and macro-F1 with them, can change by much with a few rows."
            )
        if absent:
            sentences.append(
                f"No labelled test {rows} of {', '.join(absent)}: no score says anything about "
                f"{'it' if len(absent) == 1 else 'them'}."
            )
    return sentences


def _of_start(run: Run) -> list[str]:
    start = run.cards.get("autoencoder", {}).get("start_weights")
    if start in (None, "data/none"):
        return []
    origin = "the released encoder" if start == "released" else "the weights of another training"
    return [
        f"Training of the alert encoder started from {origin}: the figures are not those of these "
        "data alone."
    ]


def _always(run: Run) -> list[str]:
    sentences = [
        "All figures are of test rows unless they say otherwise. Whoever chooses a parameter by "
        "them has used the test up: choose by validation, whose numbers are in the last table.",
        "The 95 % intervals are of the rows: they are drawn again within each class. They do not "
        f"contain what another seed of training ({run.params.get('seed')} here), another split or "
        "another sky would change.",
    ]
    if any(f"calibration_{rows}" in run.plots for rows in _CONFUSIONS):
        sentences.append(
            "Confidence and prediction sets are calibrated for the classes' shares of these rows; "
            "in a stream with other shares neither holds."
        )
    return sentences


def train_rows(run: Run) -> str | None:
    """Return the number of train alerts in words; None if it is not counted."""
    train: Any = _table(run.scores("data.json"), "stamps", "train").get("written")
    return plural(train, "train alert") if isinstance(train, int) else None


def _table(table: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    value: Any = table
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}

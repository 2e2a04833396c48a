"""The sections of training: the curves of both networks, and their best epochs."""

from collections.abc import Mapping

from ztfrep.report.chart_colours import BASELINE, OURS
from ztfrep.report.file_readers import Curve
from ztfrep.report.html_elements import Content, element, table
from ztfrep.report.line_chart import LineSeries, line_chart
from ztfrep.report.number_text import format_number, words_of
from ztfrep.report.page_sections import Section, not_evaluated, paragraph
from ztfrep.report.run_files import NETWORKS, Run
from ztfrep.report.svg_drawing import figure, legend

TITLES = {"autoencoder": "Autoencoder of alerts", "recurrent": "Recurrent network of objects"}
_SPLITS = {"train": OURS, "validation": BASELINE}


def training_section(run: Run) -> Section:
    """Return the section of the training of both networks."""
    return Section(
        "Training", [], [Section(TITLES[name], _training(run, name)) for name in NETWORKS]
    )


def _training(run: Run, network: str) -> list[Content]:
    curves, metrics = run.curves[network], run.scores(f"{network}/metrics.json")
    if not curves:
        return [not_evaluated("the training", f"There are no curves in metrics/{network}.")]
    best, epochs = metrics.get("best_epoch"), metrics.get("epochs")
    sentence = ""
    if isinstance(best, int) and isinstance(epochs, int):
        sentence = (
            f"Epoch {best} of {epochs} is the one whose weights are used. "
            if epochs
            else "No epoch of training: the weights are those that it started from. "
        )
        if epochs and best == epochs:
            sentence += (
                "It is the last: the validation loss was still at its lowest, so that more epochs "
                "may give a better network. "
            )
    note = "Loss and its terms, and accuracy, by epoch; epoch 0 is before training."
    return [paragraph(sentence, note), _charts(network, curves, best)]


def _charts(network: str, curves: Mapping[str, Mapping[str, Curve]], best: int | None) -> Content:
    # The loss comes first, then what it consists of, then accuracy.
    names = sorted(curves, key=lambda name: (name != "loss", name == "accuracy"))
    drawings: list[Content] = []
    for name in names:
        lines = [
            LineSeries(split, _SPLITS.get(split, OURS), points, dash=int(split == "validation"))
            for split, points in sorted(curves[name].items())
            if points
        ]
        if lines:
            title = f"{words_of(name).capitalize()} of the {network} by epoch"
            drawing = line_chart(
                f"{network}-{name}", title, lines, across="epoch", marked=best, width=250,
                height=170,
            )  # fmt: skip
            drawings.append([_titled(words_of(name), drawing)])
    keys = [("curve", OURS, "train"), ("curve dash-1", BASELINE, "validation")]
    if best is not None:
        keys.append(("marked", "", "best epoch"))
    columns = [(name, split) for name in names for split in sorted(curves[name])]
    by_epoch = {column: dict(curves[column[0]][column[1]]) for column in columns}
    epochs = sorted({epoch for values in by_epoch.values() for epoch in values})
    rows = [
        (str(epoch), *(format_number(by_epoch[column].get(epoch)) for column in columns))
        for epoch in epochs
    ]
    head = ["epoch", *(f"{words_of(name)}, {split}" for name, split in columns)]
    caption = f"Curves of the {TITLES[network].partition(' of ')[0].lower()}"
    return figure(caption, legend(keys), *drawings, data=table(head, rows, caption), wide=True)


def _titled(title: str, drawing: Content) -> Content:
    return element("div", element("p", title, class_="small-title"), drawing, class_="small")

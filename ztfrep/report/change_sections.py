"""Sections of parameters and of what differs from another revision."""

import json
from collections.abc import Sequence
from typing import Any

from ztfrep.report.flat_tables import flatten
from ztfrep.report.html_elements import Content, details, element, join, table
from ztfrep.report.method_names import table_title
from ztfrep.report.number_text import (
    MISSING,
    decimals_of,
    format_interval,
    format_number,
    plural,
    words_of,
)
from ztfrep.report.page_sections import Section, paragraph
from ztfrep.report.run_changes import (
    ABSENT,
    Changes,
    MetricChange,
    ParameterChange,
    by_importance,
    is_used,
)
from ztfrep.report.run_files import Run

# Main metrics that are shown at once.
_SHOWN = 15
_FILES = {
    "stamps.json": "alerts",
    "series.json": "objects",
    "stamps_validation.json": "validation alerts",
    "series_validation.json": "validation objects",
    "autoencoder/metrics.json": "training of the autoencoder",
    "recurrent/metrics.json": "training of the recurrent network",
    "data.json": "data",
}
TITLE = "What differs"


def change_section(changes: Changes | None) -> Section:
    """Return the section of the differences, parameters first; None is nothing to compare with."""
    if changes is None:
        return Section(
            TITLE,
            [paragraph("There is nothing to compare with: no Git repository with a commit.")],
        )
    name = changes.revision.name
    missing = (
        paragraph(f"{name} has no {', '.join(changes.missing)}.", class_="note")
        if changes.missing
        else None
    )
    if not changes:
        # The commit has no name here: the report of a commit is the same in every clone.
        same = (
            f"All parameters and metrics are those of {name}."
            if not changes.missing
            else f"What {name} has is the same: there is nothing else to compare with."
        )
        return Section(TITLE, [paragraph(same), missing])
    commit = changes.revision.commit[:10]
    versus = f"Compared with {name}" + ("" if commit.startswith(name) else f" (commit {commit})")
    parts = [
        Section("Parameters", _parameters(changes.parameters, name)),
        Section("Metrics", _metrics(changes.metrics, name)),
    ]
    return Section(TITLE, [paragraph(f"{versus}."), missing], parts)


def _parameters(changes: Sequence[ParameterChange], name: str) -> list[Content]:
    if not changes:
        return [paragraph(f"All parameters are those of {name}.")]

    def rows(chosen: Sequence[ParameterChange]) -> Content:
        lines = [
            (element("code", change.key), _value(change.before), _value(change.after))
            for change in chosen
        ]
        return table(["parameter", name, "this run"], lines, "Parameters that differ", texts=(1, 2))

    used = [change for change in changes if change.is_used]
    unused = [change for change in changes if not change.is_used]
    content: list[Content] = [rows(used)] if used else []
    if unused:
        number = plural(len(unused), "parameter")
        summary = f"{number} of sources and architectures that are not used"
        content.append(details(summary, rows(unused)))
    return content


def _value(value: Any) -> Content:
    """Return a parameter as `params.yaml` has it, more or less."""
    if value is ABSENT:
        return MISSING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return element("code", text)


def _metrics(changes: Sequence[MetricChange], name: str) -> list[Content]:
    if not changes:
        return [paragraph(f"All metrics are those of {name}.")]
    main = by_importance([change for change in changes if change.is_main])
    other = by_importance([change for change in changes if not change.is_main])
    outside = sum(change.is_in_interval is False for change in main)
    content: list[Content] = []
    if main:
        content.append(
            paragraph(
                f"{plural(len(main), 'main metric')} on test rows "
                f"{'differs' if len(main) == 1 else 'differ'}, {outside} of them by more than the "
                "95 % interval before. The interval is that of the rows: a difference within it is "
                "none that these rows show."
            )
        )
        content.append(_table(main[:_SHOWN], name, "Main metrics that differ"))
        if len(main) > _SHOWN:
            rest = plural(len(main) - _SHOWN, "other main metric")
            content.append(details(rest, _table(main[_SHOWN:], name, "Other main metrics")))
    if other:
        summary = plural(len(other), "other difference")
        content.append(details(summary, _table(other, name, "Other numbers that differ")))
    return content


def _table(changes: Sequence[MetricChange], name: str, caption: str) -> Content:
    rows = []
    for change in changes:
        numbers = [v for v in (change.before, change.after) if isinstance(v, float)]
        decimals = decimals_of(*numbers, *([change.low] if change.low else []))
        before = join(_number(change.before, decimals))
        if change.low is not None and change.high is not None:
            interval = format_interval(change.low, change.high, decimals)
            before = join(before, element("span", interval, class_="ends"))
        inside = {None: MISSING, True: "within", False: "outside"}[change.is_in_interval]
        quality = {None: "", True: "better", False: "worse"}[change.is_better]
        difference = None
        if change.change is not None:
            # A change that is smaller than the last decimal of its values has more of them.
            own = max(decimals, decimals_of(change.change)) if numbers else None
            difference = format_number(change.change, own, sign=True)
        rows.append(
            (
                metric_title(change.file, change.key),
                before,
                _number(change.after, decimals),
                difference or MISSING,
                element("span", quality, class_=quality if inside == "outside" else None),
                inside,
            )
        )
    head = ["metric", f"{name}, 95 % interval", "this run", "change", "", "the interval"]
    return table(head, rows, caption, texts=(4, 5))


def _number(value: Any, decimals: int) -> str:
    return MISSING if value is ABSENT else format_number(value, decimals)


def metric_title(file: str, key: str) -> str:
    """Return the title of a metric by its file and its flat key."""
    *tables, last = key.split(".")
    parts = [_FILES.get(file, file), *map(table_title, tables), words_of(last)]
    return ", ".join(parts)


def parameter_section(run: Run) -> Section:
    """Return the section of all parameters, those that the run uses first."""
    flat = flatten(run.params)
    used = {key: value for key, value in flat.items() if is_used(key, run.params)}
    unused = {key: value for key, value in flat.items() if key not in used}
    tables = [
        details(
            f"{title} ({len(values)})",
            table(
                ["parameter", "value"],
                [(element("code", key), _value(value)) for key, value in values.items()],
                title,
                texts=(1,),
            ),
        )
        for title, values in (
            ("Parameters of this run", used),
            ("Parameters of other sources and architectures", unused),
        )
        if values
    ]
    return Section("All parameters", tables)

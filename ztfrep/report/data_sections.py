"""The sections of the data: what was read, left out and written, and the classes of the rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from ztfrep.report.data_counts import REASONS, SPLITS, Balance, balance_counts, count_classes
from ztfrep.report.flat_tables import flatten
from ztfrep.report.html_elements import Content, element, table
from ztfrep.report.number_text import format_count, format_number, plural, words_of
from ztfrep.report.page_sections import Section, not_evaluated, paragraph
from ztfrep.report.run_files import Run

_NAMES_OF_LABELS = {
    "mapped_classes_by_name": "Classes of labels that were mapped onto ours",
    "excluded_classes_by_name": "Classes of labels that the class map excludes",
    "other_classes_by_name": "Classes of labels that no map has",
}


def data_section(run: Run) -> Section:
    """Return the section of the data."""
    data = run.scores("data.json")
    if not data:
        missing = not_evaluated("the data", "There is no metrics/data.json, which convert writes.")
        return Section("Data", [missing])
    balances = balance_counts(data)
    parts = [
        Section(
            "Read, left out, written",
            [
                _summary(balances),
                element("div", *map(_balance_table, balances), class_="tables"),
            ],
        ),
        Section("Classes", _class_tables(data)),
        Section("Labels", _label_tables(data)),
        Section("Other counts", _other_counts(data)),
    ]
    return Section("Data", [], [part for part in parts if part])


def _summary(balances: Sequence[Balance]) -> Content:
    if not balances:
        return None
    unexplained = sum(balance.unexplained for balance in balances)
    excluded = ", ".join(
        f"{format_count(balance.total_excluded)} of {format_count(sum(balance.read))} "
        f"({balance.title.lower()})"
        for balance in balances
    )
    adds_up = (
        "Every count adds up: what was read is what was written and what was left out, by reason."
        if not unexplained
        else f"The counts do not add up: {plural(unexplained, 'row')} without a reason."
    )
    return paragraph(f"Left out: {excluded}. ", element("strong", adds_up))


def _balance_table(balance: Balance) -> Content:
    several = len(balance.columns) > 1
    head = ["", *(column if several else "rows" for column in balance.columns)]

    def row(name: Content, counts: Sequence[int]) -> list[Content]:
        total = [format_count(sum(counts))] if several else []
        return [name, *map(format_count, counts), *total]

    rows = [row(element("strong", balance.verb), balance.read)]
    without_rows = []
    for reason, counts in balance.excluded.items():
        if any(counts):
            rows.append(row(f"− {reason}", counts))
        else:
            without_rows.append(reason)
    rows += [row(element("strong", f"= {name}"), c) for name, c in balance.written.items()]
    note = None
    if without_rows:
        note = paragraph(f"For no row: {'; '.join(without_rows)}.", class_="note")
    whole = table([*head, *(["all"] if several else [])], rows, balance.title)
    return element("div", whole, note, class_="balance")


def _class_tables(data: Mapping[str, Any]) -> list[Content]:
    tables: list[Content] = []
    for name, title in (("stamps", "Alerts by class"), ("series", "Objects by class")):
        classes = count_classes(data, name)
        if classes:
            rows = [
                (class_name, *(format_count(counts.get(split, 0)) for split in SPLITS))
                for class_name, counts in classes.items()
            ]
            is_read = name == "stamps" and "written_" not in str(list(data[name]["train"]))
            caption = f"{title}, {'as they were read' if is_read else 'labelled rows written'}"
            tables.append(table(["class", *SPLITS], rows, caption))
    return [element("div", *tables, class_="tables")] if tables else []


def _label_tables(data: Mapping[str, Any]) -> list[Content]:
    labels = data.get("labels")
    if not isinstance(labels, Mapping):
        return []
    unmatched = labels.get("rows_unmatched", 0)
    tables: list[Content] = []
    for key, title in _NAMES_OF_LABELS.items():
        names = labels.get(key)
        if isinstance(names, Mapping) and names:
            flat = flatten(names)
            rows = [(name.replace(".", " ← "), format_number(n)) for name, n in flat.items()]
            tables.append(table(["class", "rows"], rows, title))
    # Those of a reason are in the balance above.
    counts = {k: v for k, v in labels.items() if not isinstance(v, Mapping) and k not in REASONS}
    rows = [(words_of(key), format_number(value)) for key, value in counts.items()]
    tables.append(table(["", "count"], rows, "Labels and what they match"))
    matched = (
        f"{plural(unmatched, 'row')} of the table of labels matched no alert."
        if unmatched
        else "Every row of the table of labels with an identifier and a class matched an alert."
    )
    return [paragraph(matched), element("div", *tables, class_="tables")]


def _other_counts(data: Mapping[str, Any]) -> list[Content]:
    """Return tables of pixels, features and whatever else a source counts."""
    known = {"files", "members", "packets", "prior_observations", "labels", "stamps", "series"}
    by_split = [
        (
            f"{title}: {words_of(key)}",
            *(format_number(data[name].get(split, {}).get(key)) for split in SPLITS),
        )
        for name, title in (("stamps", "alerts"), ("series", "series"))
        if isinstance(data.get(name), Mapping)
        for key in ("masked_pixels", "written", "written_objects", "objects", "observations",
                    "alerts")
        if any(key in data[name].get(split, {}) for split in SPLITS)
    ]  # fmt: skip
    flat = flatten({key: value for key, value in data.items() if key not in known})
    rows = [(words_of(key.replace(".", ": ")), format_number(v)) for key, v in flat.items()]
    tables = [table(["", *SPLITS], by_split, "Rows and pixels by split")] if by_split else []
    if rows:
        tables.append(table(["", "count"], rows, "Pixels and features of all packets"))
    return [element("div", *tables, class_="tables")] if tables else []

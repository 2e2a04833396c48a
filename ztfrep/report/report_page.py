"""The report of a run as one HTML page, which needs no other file and no network."""

from pathlib import Path

from ztfrep.data.files import replacing
from ztfrep.errors import InputError, quote
from ztfrep.report.change_sections import change_section, parameter_section
from ztfrep.report.classification_sections import ALERTS, OBJECTS, classification_sections
from ztfrep.report.data_sections import data_section
from ztfrep.report.file_readers import REMEDY
from ztfrep.report.html_elements import Html, element, join
from ztfrep.report.overview_sections import caveat_section, facts, key_section, number_section
from ztfrep.report.page_sections import Section, table_of_contents
from ztfrep.report.page_style import style_sheet
from ztfrep.report.revisions import find_revision
from ztfrep.report.run_changes import Changes, compare
from ztfrep.report.run_files import Run, read_run
from ztfrep.report.series_sections import series_sections
from ztfrep.report.training_sections import training_section
from ztfrep.report.vector_sections import picture_section, reconstruction_section, vector_sections

# Scripts and requests are refused by the browser, whatever stands in the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
HEAD = "HEAD"
_SOURCES = {
    "sample": "the simulated sample",
    "survey": "the simulated survey",
    "local": "pickles of one's own",
    "drive": "the published pickles",
    "alerts": "alert packets",
}


def write_report(
    out: Path,
    *,
    params: Path,
    metrics: Path,
    models: Path,
    figures: Path,
    against: str | None = None,
) -> None:
    """Write the report of a run, compared with a revision of its repository.

    `against` is a commit, a branch, a tag or an experiment; None is the last commit, if there is
    one. `models` has the folders of the networks, `figures` the folders of pictures. Raises
    InputError for an unknown revision, for files that are broken, and without any metrics.
    """
    run = read_run(params, metrics, models, figures)
    revision = find_revision(against or HEAD, metrics, optional=against is None)
    changes = None if revision is None else compare(run, revision, params, metrics)
    try:
        page = report_page(run, changes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # A number where a table belongs, for example.
        found = f"content of another form, {quote(repr(error), 80)}"
        expected = "metrics as this version writes them"
        raise InputError(metrics, found=found, expected=expected, remedy=REMEDY) from error
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def report_page(run: Run, changes: Changes | None) -> Html:
    """Return the page of a run and of its differences."""
    title = f"Run on {_SOURCES.get(run.source, f'source {run.source}')}"
    sections = [section for section in _sections(run, changes) if section]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · ztfrep"),
        element("style", style_sheet()),
    )
    header = element(
        "header",
        element("p", "ztfrep report", class_="kicker"),
        element("h1", title),
        facts(run),
    )
    body = element(
        "body",
        element("a", "To the content", href="#content", class_="skip"),
        element(
            "div",
            header,
            table_of_contents(sections),
            element("main", *(section.html() for section in sections), id="content"),
            class_="page",
        ),
    )
    return join(Html("<!doctype html>\n"), element("html", head, body, lang="en"), Html("\n"))


def _sections(run: Run, changes: Changes | None) -> list[Section]:
    return [
        caveat_section(run),
        change_section(changes),
        key_section(run),
        data_section(run),
        training_section(run),
        Section(
            "Alerts",
            [],
            [
                *classification_sections(run, ALERTS),
                reconstruction_section(run),
                *vector_sections(run, ALERTS),
            ],
        ),
        Section(
            "Objects",
            [],
            [
                *classification_sections(run, OBJECTS),
                *series_sections(run),
                *vector_sections(run, OBJECTS),
            ],
        ),
        picture_section(run),
        parameter_section(run),
        number_section(run),
    ]

"""Write the report of the run, compared with the last commit."""

from stages import run
from stages.paths import FIGURES, METRICS, MODELS, PARAMS, REPORT, REPORT_SUMMARY
from ztfrep.report.report_page import write_report


def main(_: object) -> None:
    """Write the page, and the numbers of its charts."""
    write_report(
        REPORT,
        params=PARAMS,
        metrics=METRICS,
        models=MODELS,
        figures=FIGURES,
        summary=REPORT_SUMMARY,
    )


if __name__ == "__main__":
    run(main, networks=False)

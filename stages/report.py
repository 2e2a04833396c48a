"""Write the report of the run, compared with the last commit."""

from stages import run
from stages.paths import FIGURES, METRICS, MODELS, PARAMS, REPORT
from ztfrep.report.report_page import write_report


def main(_: object) -> None:
    """Write the page."""
    write_report(REPORT, params=PARAMS, metrics=METRICS, models=MODELS, figures=FIGURES)


if __name__ == "__main__":
    run(main, networks=False)

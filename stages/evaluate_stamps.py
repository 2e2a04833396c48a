"""Evaluate the vectors of alerts and the baselines on the same alerts."""

from stages import run
from stages.paths import AUTOENCODER, ENCODED_STAMPS, FIGURES, MANIFEST, METRICS, SERIES, STAMPS
from ztfrep.evaluation.alert_light_curves import read_light_curves
from ztfrep.evaluation.alert_protocol import evaluate_alerts
from ztfrep.evaluation.reports import write_alert_report
from ztfrep.params import Params


def main(params: Params) -> None:
    """Evaluate validation and test alerts; write metrics, plot data and figures."""
    evaluation = evaluate_alerts(
        STAMPS,
        ENCODED_STAMPS,
        AUTOENCODER,
        params.evaluate,
        seed=params.seed,
        threads=params.threads,
        batch_size=params.encode.batch_size,
        precision=params.precision,
        published=MANIFEST if params.evaluate.encodings == "published" else None,
    )
    curves = read_light_curves(STAMPS, SERIES, "test")
    write_alert_report(evaluation, METRICS, FIGURES / "stamps", curves=curves)


if __name__ == "__main__":
    run(main)

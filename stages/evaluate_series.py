"""Evaluate the network of objects, its vectors and the baselines on the same objects."""

from stages import run
from stages.paths import (
    ENCODED_OBJECTS,
    ENCODED_SERIES,
    FIGURES,
    MANIFEST,
    METRICS,
    OBSERVATIONS,
    RECURRENT,
    SERIES,
)
from ztfrep.evaluation.object_protocol import evaluate_objects
from ztfrep.evaluation.reports import write_object_report
from ztfrep.params import Params


def main(params: Params) -> None:
    """Evaluate validation and test objects; write metrics, plot data and figures."""
    evaluation = evaluate_objects(
        ENCODED_SERIES,
        OBSERVATIONS,
        ENCODED_OBJECTS,
        RECURRENT,
        params.evaluate,
        seed=params.seed,
        threads=params.threads,
        table=SERIES,
        published=MANIFEST if params.evaluate.encodings == "published" else None,
    )
    write_object_report(evaluation, METRICS, FIGURES / "series")


if __name__ == "__main__":
    run(main)

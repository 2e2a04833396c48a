"""Train the recurrent network of objects."""

from stages import run
from stages.paths import CHECKPOINTS, ENCODED_SERIES, METRICS, OBSERVATIONS, RECURRENT
from ztfrep.params import Params
from ztfrep.training.object_training import train_recurrent
from ztfrep.training.training_run import RunSettings


def main(params: Params) -> None:
    """Train on the train split, stop by the validation split, save the best epoch."""
    train_recurrent(
        ENCODED_SERIES,
        OBSERVATIONS,
        params.recurrent.architecture,
        params.recurrent.config,
        RunSettings(
            epochs=params.epochs("recurrent"),
            seed=params.seed,
            threads=params.threads,
            precision=params.precision,
            start_weights=params.start_weights("recurrent"),
            checkpoints=CHECKPOINTS,
        ),
        model=RECURRENT,
        metrics=METRICS / "recurrent",
    )


if __name__ == "__main__":
    run(main)

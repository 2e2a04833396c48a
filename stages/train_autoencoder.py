"""Train the autoencoder of alerts."""

from stages import run
from stages.paths import AUTOENCODER, CHECKPOINTS, METRICS, STAMPS
from ztfrep.params import Params
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.training_run import RunSettings


def main(params: Params) -> None:
    """Train on the train split, stop by the validation split, save the best epoch."""
    train_autoencoder(
        STAMPS,
        params.autoencoder.architecture,
        params.autoencoder.config,
        RunSettings(
            epochs=params.epochs("autoencoder"),
            seed=params.seed,
            threads=params.threads,
            precision=params.precision,
            start_weights=params.start_weights("autoencoder"),
            checkpoints=CHECKPOINTS,
        ),
        model=AUTOENCODER,
        metrics=METRICS / "autoencoder",
        released=params.released_start(),
    )


if __name__ == "__main__":
    run(main)

"""Curves of a training: a metric per epoch, logged by DVCLive."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from ztfrep.data.files import replacing_folder
from ztfrep.training.resumption import Record


@contextmanager
def logged_curves(folder: Path, name: str, epochs: int) -> Iterator[Callable[[Record], None]]:
    """Return the function to call after every epoch; `folder`/plots appears when training ends.

    A run that fails leaves the curves of the one before it. `name` is that of the progress bar, of
    `epochs` epochs and the evaluation before them.
    """
    from dvclive import Live  # Slow to import, and not needed to use what was trained.

    with (
        replacing_folder(folder / "plots") as plots,
        Live(str(plots.parent), save_dvc_exp=False, dvcyaml=None, report=None) as live,
        tqdm(total=epochs + 1, desc=name, unit=" epochs", disable=None) as bar,
    ):

        def log(record: Record) -> None:
            live.step = int(record["epoch"])
            for metric, value in record.items():
                if metric != "epoch":
                    live.log_metric(metric.replace("_", "/", 1), value)
            live.sync()
            bar.set_postfix(validation_loss=f"{record['validation_loss']:.4f}", refresh=False)
            bar.update()

        yield log

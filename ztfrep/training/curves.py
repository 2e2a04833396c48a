"""Training curves: metrics per epoch, logged by DVCLive."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from ztfrep.data.files import replacing_folder
from ztfrep.training.resumption import Record


@contextmanager
def logged_curves(folder: Path, name: str, epochs: int) -> Iterator[Callable[[Record], None]]:
    """Return a context whose value is a function that logs the record of an epoch.

    The curves are written to `folder`/plots when the context ends without an exception, else the
    folder is not changed. `name` is the label of the progress bar, which has `epochs` + 1 steps.
    """
    from dvclive import Live  # Slow to import, and not needed to use a trained network.

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

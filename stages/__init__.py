"""The stages of the pipeline: each reads params, calls ztfrep, writes its outputs.

DVC runs them as `python -m stages.NAME` from the repository's root.
"""

import logging
import sys
from collections.abc import Callable

from ztfrep.process import exit_when_interrupted, exiting_in_one_line, follow_dvc

# `python -m` sets this argument while it imports the packages of a stage. From here on the stage
# ends with its dvc, and in one line on Ctrl-C: the other imports take seconds.
if sys.argv[:1] == ["-m"]:
    exit_when_interrupted()
    follow_dvc()

from threadpoolctl import threadpool_limits

from ztfrep.params import Params, read_params


def run(main: Callable[[Params], None], *, networks: bool = True) -> None:
    """Run a stage's `main` on the checked parameters; see `read_params` for `networks`.

    An input error prints one line and exits with 1, Ctrl-C with 130. The stage ends when its dvc
    ends.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    with exiting_in_one_line():
        follow_dvc()
        params = read_params(networks=networks)
        # The rounding of sums depends on the number of threads.
        with threadpool_limits(limits=params.threads):
            main(params)

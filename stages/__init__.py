"""The stages of the pipeline: each reads params, calls ztfrep, writes its outputs.

DVC runs them as `python -m stages.NAME` from the repository's root.
"""

import logging
import sys
from collections.abc import Callable

from ztfrep.process import exit_when_interrupted, exiting_in_one_line, follow_dvc

# What python -m has in place of a module's path while it imports the packages around it: a stage
# starts, and is stopped in one line while it imports the rest, which takes seconds.
if sys.argv[:1] == ["-m"]:
    exit_when_interrupted()
    follow_dvc()

from threadpoolctl import threadpool_limits

from ztfrep.params import Params, read_params


def run(main: Callable[[Params], None], *, networks: bool = True) -> None:
    """Run a stage's `main` on the checked parameters; see `read_params` for `networks`.

    An input error is one line and status 1, Ctrl-C one line and status 130. It ends when its dvc
    does.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    with exiting_in_one_line():
        follow_dvc()
        params = read_params(networks=networks)
        # Sums depend on how many threads share them.
        with threadpool_limits(limits=params.threads):
            main(params)

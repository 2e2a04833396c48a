"""The stages of the pipeline: each reads params, calls ztfrep, writes its outputs.

DVC runs them as `python -m stages.NAME` from the repository's root.
"""

import logging
import sys
from collections.abc import Callable

from threadpoolctl import threadpool_limits

from ztfrep.errors import InputError
from ztfrep.params import Params, read_params


def run(main: Callable[[Params], None]) -> None:
    """Run a stage's `main` on the checked parameters; an input error is one line and status 1."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    try:
        params = read_params()
        # Sums depend on how many threads share them.
        with threadpool_limits(limits=params.threads):
            main(params)
    except (InputError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")

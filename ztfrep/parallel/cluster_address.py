"""The cluster that tasks run on: the environment variable `ZTFREP_CLUSTER`."""

import os
import re

from ztfrep.errors import InputError, quote

VARIABLE = "ZTFREP_CLUSTER"
LOCAL = "local"
_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[\w.-]+):[0-9]{1,5}")


def cluster_address() -> str | None:
    """Return the cluster of `ZTFREP_CLUSTER`: `local`, an address such as `tcp://scheduler:8786`.

    None, the default, is no cluster. Raises InputError for another value.
    """
    value = os.environ.get(VARIABLE, "none")
    if value == "none":
        return None
    if value != LOCAL and not _ADDRESS.fullmatch(value):
        raise InputError(
            f"the environment variable {VARIABLE}",
            found=quote(value),
            expected="none, local or the address of a Dask scheduler, such as tcp://scheduler:8786",
            remedy="correct it, or leave it out",
        )
    return value

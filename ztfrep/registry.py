"""Classes named by text, so that reading the names of a registry imports none of them."""

import importlib
from collections.abc import Mapping
from typing import Any


def get_registered(registry: Mapping[str, str], name: str, kind: str) -> Any:
    """Return the class that `registry` has as "module:class" below a name.

    Raises ValueError for an unknown name; `kind` is what the names are of, for the message.
    """
    if name not in registry:
        raise ValueError(f"Unknown {kind} {name!r}. Must be one of: {', '.join(registry)}")
    module, _, attribute = registry[name].partition(":")
    return getattr(importlib.import_module(module), attribute)

"""Registries of classes: mappings of names to "module:class", imported when they are asked for."""

import importlib
from collections.abc import Mapping
from typing import Any


def get_registered(registry: Mapping[str, str], name: str, kind: str) -> Any:
    """Import and return the class of a name in `registry`.

    `kind` describes the classes in the message of the ValueError for an unknown name.
    """
    if name not in registry:
        raise ValueError(f"Unknown {kind} {name!r}. Must be one of: {', '.join(registry)}")
    module, _, attribute = registry[name].partition(":")
    return getattr(importlib.import_module(module), attribute)

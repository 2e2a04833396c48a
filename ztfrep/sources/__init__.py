"""Where alerts come from: one folder and one line of `SOURCES` per source."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ztfrep.sources.base import Source

# The class of each source by its name in params.yaml, imported when it is asked for.
SOURCES = {
    "sample": "ztfrep.sources.simulation.sample_source.SampleSource",
    "local": "ztfrep.sources.pickles.pickle_source.LocalSource",
    "drive": "ztfrep.sources.drive.drive_source.DriveSource",
    "alerts": "ztfrep.sources.packets.packet_source.PacketSource",
}


def get_source(name: str) -> "Source[Any]":
    """Return the source of a name; raises ValueError for an unknown one."""
    if name not in SOURCES:
        raise ValueError(f"Unknown source {name!r}. Must be one of: {', '.join(SOURCES)}")
    module, _, class_name = SOURCES[name].rpartition(".")
    source: Source[Any] = getattr(import_module(module), class_name)()
    return source

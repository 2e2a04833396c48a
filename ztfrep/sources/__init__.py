"""Sources of alerts: one folder and one line of `SOURCES` per source."""

from typing import TYPE_CHECKING, Any

from ztfrep.registry import get_registered

if TYPE_CHECKING:
    from ztfrep.sources.base import Source

SOURCES = {
    "sample": "ztfrep.sources.simulation.sample_source:SampleSource",
    "local": "ztfrep.sources.pickles.pickle_source:LocalSource",
    "drive": "ztfrep.sources.drive.drive_source:DriveSource",
    "alerts": "ztfrep.sources.packets.packet_source:PacketSource",
    "survey": "ztfrep.sources.simulation.survey_source:SurveySource",
}


def get_source(name: str) -> "Source[Any]":
    """Return the source of a name; raises ValueError for an unknown one."""
    source: Source[Any] = get_registered(SOURCES, name, "source")()
    return source

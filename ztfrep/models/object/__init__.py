"""Networks that encode an object as a vector. To add an architecture, add a module and a line."""

from typing import TYPE_CHECKING

from ztfrep.registry import get_registered

if TYPE_CHECKING:
    from ztfrep.models.object.base import ObjectNetwork

ARCHITECTURES = {
    "temporal": "ztfrep.models.object.temporal:TemporalRecurrent",
    "published": "ztfrep.models.object.published_recurrent:PublishedRecurrent",
}


def get_object_network(name: str) -> "type[ObjectNetwork]":
    """Return the class of a registered architecture; raises ValueError for an unknown name."""
    network: type[ObjectNetwork] = get_registered(ARCHITECTURES, name, "architecture")
    return network

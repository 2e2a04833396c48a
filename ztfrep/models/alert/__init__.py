"""Networks that encode an alert as a vector. To add an architecture, add a module and a line."""

from typing import TYPE_CHECKING

from ztfrep.registry import get_registered

if TYPE_CHECKING:
    from ztfrep.models.alert.base import AlertNetwork

ARCHITECTURES = {
    "invariant": "ztfrep.models.alert.invariant:InvariantAutoencoder",
    "published": "ztfrep.models.alert.published_autoencoder:PublishedAutoencoder",
}


def get_alert_network(name: str) -> "type[AlertNetwork]":
    """Return the class of a registered architecture; raises ValueError for an unknown name."""
    network: type[AlertNetwork] = get_registered(ARCHITECTURES, name, "architecture")
    return network

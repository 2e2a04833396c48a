"""Reproducible, temporal representations of astronomical alerts.

    import ztfrep

    encoder = ztfrep.load()
    alerts = ztfrep.read_packets("ztf_public_20200101.tar.gz")
    vectors = encoder.encode(alerts)

Each name is imported when it is first used, so `import ztfrep` is fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ztfrep.catalogues.catalogue import read_catalogue as read_catalogue
    from ztfrep.catalogues.packet_encoding import encode_packets as encode_packets
    from ztfrep.catalogues.ranking import rank as rank
    from ztfrep.catalogues.similarity import similar as similar
    from ztfrep.data.alert_table import read_table as read_table
    from ztfrep.data.alerts import Alerts as Alerts
    from ztfrep.encoders.encoder import Encoder as Encoder
    from ztfrep.encoders.encoder import load as load
    from ztfrep.sources.packets.packet_alerts import read_packets as read_packets

__version__ = "0.1.0"

_MODULES = {
    "Alerts": "ztfrep.data.alerts",
    "Encoder": "ztfrep.encoders.encoder",
    "encode_packets": "ztfrep.catalogues.packet_encoding",
    "load": "ztfrep.encoders.encoder",
    "rank": "ztfrep.catalogues.ranking",
    "read_catalogue": "ztfrep.catalogues.catalogue",
    "read_packets": "ztfrep.sources.packets.packet_alerts",
    "read_table": "ztfrep.data.alert_table",
    "similar": "ztfrep.catalogues.similarity",
}
__all__ = [
    "Alerts",
    "Encoder",
    "encode_packets",
    "load",
    "rank",
    "read_catalogue",
    "read_packets",
    "read_table",
    "similar",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'ztfrep' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])

"""What a year of a survey takes in machines, hours and bytes.

From the results of benchmarks.cluster:

python -m benchmarks.survey_years

Prints the table of docs/performance.md. Numbers of alerts are proportional to everything: memory
does not grow with them, and the reading and encoding of packets share nothing.
"""

import json
from typing import Any, NamedTuple

from benchmarks.measuring import RESULTS

SURVEYS = {"ZTF": 10**8, "LSST": 4 * 10**9}
CORES_PER_MACHINE = 32
_HOUR, _DAY = 3600, 86400


class Rates(NamedTuple):
    """What was measured: alerts per second of a core or of the one client, and bytes per alert."""

    read: float
    encode: float
    client: float
    packet_bytes: float
    table_bytes: float
    store_bytes: float
    vector_bytes: float


class Year(NamedTuple):
    """What the alerts of a year take.

    Hours of one core, machines that do it in a day, hours of the one client that writes the tables,
    and decimal terabytes.
    """

    read_core_hours: float
    encode_core_hours: float
    machines_for_a_day: float
    client_hours: float
    packets_tb: float
    temporary_tb: float
    tables_tb: float
    vectors_tb: float

    @property
    def bottleneck(self) -> str:
        """What takes longest on the machines of a day."""
        return "the client" if self.client_hours > _DAY / _HOUR else "the workers"


def estimate(rates: Rates, alerts: int) -> Year:
    """Return what a number of alerts take at measured rates."""
    read, encode = alerts / rates.read / _HOUR, alerts / rates.encode / _HOUR
    return Year(
        read_core_hours=read,
        encode_core_hours=encode,
        machines_for_a_day=(read + encode) / (CORES_PER_MACHINE * _DAY / _HOUR),
        client_hours=alerts / rates.client / _HOUR,
        packets_tb=alerts * rates.packet_bytes / 1e12,
        temporary_tb=alerts * rates.store_bytes / 1e12,
        tables_tb=alerts * rates.table_bytes / 1e12,
        vectors_tb=alerts * rates.vector_bytes / 1e12,
    )


def read_rates(result: dict[str, Any]) -> Rates:
    """Return the rates in the result of benchmarks.cluster.

    The client's is that of a conversion without its reading.
    """
    seconds, sizes = result["seconds"], result["bytes_per_alert"]
    writing = seconds["convert"]["1 worker"] - seconds["read"]["1 worker"]
    return Rates(
        read=result["alerts"] / seconds["read"]["1 worker"],
        encode=result["alerts"] / seconds["encode"]["1 worker"],
        client=result["alerts"] / writing,
        packet_bytes=sizes["packets"],
        table_bytes=sizes["stamps_table"] + sizes["series_table"],
        store_bytes=sizes["batch_store"],
        vector_bytes=sizes["vectors"],
    )


def main() -> None:
    """Print the table."""
    rates = read_rates(json.loads((RESULTS / "cluster.json").read_text(encoding="utf-8")))
    years = {name: estimate(rates, alerts) for name, alerts in SURVEYS.items()}
    print("| a year of | " + " | ".join(f"{n}, {SURVEYS[n]:.0e} alerts" for n in years) + " |")
    print("|---|" + "---|" * len(years))
    for label, field in (
        ("packets in, TB", "packets_tb"),
        ("temporary batches, TB", "temporary_tb"),
        ("tables, TB", "tables_tb"),
        ("vectors, TB", "vectors_tb"),
        ("reading, hours of a core", "read_core_hours"),
        ("encoding, hours of a core", "encode_core_hours"),
        (f"machines of {CORES_PER_MACHINE} cores, for a day", "machines_for_a_day"),
        ("the client that writes the tables, hours", "client_hours"),
        ("what takes longest on these machines", "bottleneck"),
    ):
        cells = [_show(getattr(year, field)) for year in years.values()]
        print(f"| {label} | " + " | ".join(cells) + " |")


def _show(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


if __name__ == "__main__":
    main()

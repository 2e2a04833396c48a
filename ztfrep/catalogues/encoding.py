"""Encoding of alerts in files, whatever they are."""

from collections.abc import Sequence
from pathlib import Path

from ztfrep.catalogues.packet_encoding import EncodingCounts, as_paths, encode_packets
from ztfrep.catalogues.table_encoding import encode_table
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.parquet_files import MAGIC
from ztfrep.encoders.encoder import Encoder


def encode_paths(
    encoder: Encoder,
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    previews: bool = True,
) -> EncodingCounts:
    """Encode packets or one alert table; see `encode_packets` and `encode_table`."""
    inputs = as_paths(paths)
    if len(inputs) == 1 and _is_parquet(inputs[0]):
        return encode_table(encoder, AlertTable(inputs[0]), out, previews=previews)
    return encode_packets(encoder, inputs, out, previews=previews)


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC

"""Predictions and set-aside messages as files of a folder."""

import json
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ztfrep.data.files import replacing
from ztfrep.data.parquet_files import open_parquet
from ztfrep.errors import InputError
from ztfrep.streams.stream_outputs import DeadLetter, OffsetRange

# Files whose alerts are not written again to the same folder. A consumer that was killed leaves one
# file whose messages it did not commit; several consumers may write to one folder.
_RECENT_FILES = 64


class FolderSink:
    """Writes a Parquet file per batch to a folder, named by its first offsets.

    Its schema's metadata has the range of offsets of every partition as JSON, under `offsets`. The
    alerts of the newest files are not written again, so that messages that are delivered twice make
    no duplicates.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._recent: deque[pa.ChunkedArray] = deque(maxlen=_RECENT_FILES)
        self._schema: pa.Schema | None = None

    def refresh(self) -> None:
        """Read the candids of the newest files in the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        files = sorted(self._folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
        self._recent.clear()
        for path in files[-_RECENT_FILES:]:
            with open_parquet(path) as file:
                self._schema = _without_offsets(file.schema_arrow)
                if "candid" not in self._schema.names:
                    raise self._other_folder_error(path)
                self._recent.append(file.read(columns=["candid"])["candid"])

    def write(self, predictions: pa.Table, ranges: Sequence[OffsetRange]) -> int:
        """Write the alerts that are not in the newest files; return their number."""
        schema = _without_offsets(predictions.schema)
        if self._schema is None:
            self._schema = schema
        # Not of the fields, to which a file adds its own.
        elif self._schema != schema or self._schema.metadata != schema.metadata:
            raise self._other_folder_error(self._folder)
        for candids in self._recent:
            is_stored = pc.is_in(predictions["candid"], value_set=candids)
            predictions = predictions.filter(pc.invert(is_stored))
        if not len(predictions):
            return 0
        offsets = json.dumps([part._asdict() for part in ranges])
        metadata = {**(schema.metadata or {}), b"offsets": offsets.encode()}
        with replacing(self._new_path(ranges)) as temporary:
            pq.write_table(predictions.replace_schema_metadata(metadata), temporary)
        self._recent.append(predictions["candid"])
        return len(predictions)

    def _new_path(self, ranges: Sequence[OffsetRange]) -> Path:
        topic, partition, first, last = ranges[0]
        name = f"{topic}-{partition}-{first}-{last}"
        if len(ranges) > 1:
            name += f"-and-{len(ranges) - 1}-partitions"
        path, number = self._folder / f"{name}.parquet", 1
        # A topic that was made again has other alerts at the same offsets.
        while path.exists():
            number += 1
            path = self._folder / f"{name}.{number}.parquet"
        return path

    def _other_folder_error(self, path: Path) -> InputError:
        return InputError(
            path,
            found="tables of another model or with other columns",
            expected="an empty folder, or one of the same model and version",
            remedy="pass another folder as --out",
        )


def _without_offsets(schema: pa.Schema) -> pa.Schema:
    metadata = {key: value for key, value in (schema.metadata or {}).items() if key != b"offsets"}
    return schema.with_metadata(metadata)


class FolderDeadLetters:
    """Writes each message that cannot be read to a file, and the reason to a JSON beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Write the messages; a message that is delivered again replaces its files."""
        for letter in letters:
            message = letter.message
            name = f"{message.topic()}-{message.partition()}-{message.offset()}"
            description = {**letter.describe(), "set_aside": time.strftime("%FT%TZ", time.gmtime())}
            with replacing(self._folder / f"{name}.avro") as temporary:
                temporary.write_bytes(message.value() or b"")
            with replacing(self._folder / f"{name}.json") as temporary:
                temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")

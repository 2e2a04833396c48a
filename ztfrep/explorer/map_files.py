"""The files of a map: the page, scripts of data and images, by their names.

A browser may not read data from the disk, but for scripts and images: data are scripts, each a call
`ztfrepData(KEY, VALUE)`, so that the page is the same from a server and from a folder.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from ztfrep import palette
from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.catalogue_schema import ALERTS
from ztfrep.data.alert_schema import CHANNELS
from ztfrep.explorer.map_columns import MapColumn
from ztfrep.explorer.map_projections import MapProjection
from ztfrep.explorer.row_details import NEIGHBOURS, RowDetails, as_text
from ztfrep.explorer.stamp_sprites import StampImages

PAGE = {
    "index.html": "text/html; charset=utf-8",
    "explorer.js": "text/javascript; charset=utf-8",
    "explorer.css": "text/css; charset=utf-8",
    # Of the packages whose code is in the script.
    "LICENSES.txt": "text/plain; charset=utf-8",
}
MAP = "data/map.js"
_SCRIPT, _PNG = "text/javascript; charset=utf-8", "image/png"
_PLACE = r"(?P<place>0|[1-9][0-9]{0,8})"
_NAMES = re.compile(
    r"data/(?P<single>map|ids)\.js"
    r"|data/(?P<column>projection|column)-(?P<name>[a-z_]{1,40})\.js"
    rf"|(?P<many>data/details-|stamps/){_PLACE}\.(?P<suffix>js|png)"
)


class MapFile(NamedTuple):
    """The bytes of a file, and its media type."""

    content: bytes
    media_type: str


@dataclass(frozen=True, eq=False)
class MapFiles:
    """The files of the map of a catalogue of n rows; see `read`.

    Attributes
    ----------
    catalogue : Catalogue
    projections : dict of MapProjection
        By method; the first is shown first.
    columns : sequence of MapColumn
    details : RowDetails
    stamps : StampImages or None
    rows_per_file : int
        Alerts of a script of details and of an image of stamps.
    notes : sequence of str
    """

    catalogue: Catalogue
    projections: Mapping[str, MapProjection]
    columns: Sequence[MapColumn]
    details: RowDetails
    stamps: StampImages | None
    rows_per_file: int
    notes: Sequence[str]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.catalogue)

    def read(self, name: str) -> MapFile | None:
        """Return a file by its name, such as "data/map.js", or None if there is none.

        Raises InputError and OSError if the catalogue cannot be read any more.
        """
        if name in PAGE:
            content = resources.files("ztfrep.explorer").joinpath("web/dist", name).read_bytes()
            return MapFile(content, PAGE[name])
        match = _NAMES.fullmatch(name)
        if match is None:
            return None
        if match["single"]:
            value = self._map() if match["single"] == "map" else self._ids()
            return MapFile(data_script(match["single"], value), _SCRIPT)
        if match["column"]:
            return self._column(match["column"], match["name"])
        rows = self.rows_of(int(match["place"]))
        if not rows:
            return None
        if (match["many"], match["suffix"]) == ("data/details-", "js"):
            values = self.details.details(rows)
            return MapFile(data_script(f"details-{match['place']}", values), _SCRIPT)
        if (match["many"], match["suffix"]) == ("stamps/", "png") and self.stamps is not None:
            return MapFile(self.stamps.image(rows), _PNG)
        return None

    def rows_of(self, place: int) -> range:
        """Return the rows of the details and stamps of a number, none beyond the last."""
        start = place * self.rows_per_file
        return range(start, max(start, min(start + self.rows_per_file, len(self))))

    def names_of_columns(self) -> list[str]:
        """Return the names of the files of data that are not of single rows."""
        return [
            MAP,
            "data/ids.js",
            *(f"data/projection-{name}.js" for name in self.projections),
            *(f"data/column-{column.name}.js" for column in self.columns),
        ]

    def _map(self) -> dict[str, Any]:
        info = self.catalogue.info
        is_alerts = info.rows == ALERTS
        stamps = {"rows": self.rows_per_file, "size": info.preview_size, "channels": CHANNELS}
        return {
            "title": self.catalogue.path.absolute().name,
            "rows": info.rows,
            "n": len(self),
            "version": info.version,
            "model": info.model,
            "classes": info.classes,
            "colours": palette.COLOURS,
            "unlabelled": palette.UNLABELLED,
            "masked": palette.MASKED,
            "filters": palette.FILTERS,
            "numbers": palette.NUMBERS,
            "projections": list(self.projections),
            "projection_notes": {name: p.note for name, p in self.projections.items()},
            "columns": [
                {"name": column.name, "title": column.title, **column.description}
                for column in self.columns
            ],
            "detail_rows": self.rows_per_file,
            "stamps": stamps if is_alerts and self.stamps is not None else None,
            "neighbours": NEIGHBOURS,
            "notes": self.notes,
        }

    def _ids(self) -> dict[str, Any]:
        table = self.catalogue.table
        candids = [as_text(c) for c in table["candid"].tolist()] if "candid" in table else None
        names = [as_text(name) for name in table["object_id"].tolist()]
        return {"object_id": names, "candid": candids}

    def _column(self, kind: str, name: str) -> MapFile | None:
        if kind == "projection":
            arrays = {key: projection.points for key, projection in self.projections.items()}
        else:
            arrays = {column.name: column.codes for column in self.columns}
        if name not in arrays:
            return None
        return MapFile(data_script(f"{kind}-{name}", _base64(arrays[name])), _SCRIPT)


def data_script(key: str, value: Any) -> bytes:
    """Return the script that gives a value to the page under a key; raises ValueError for NaN."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return f"ztfrepData({json.dumps(key)}, {text});\n".encode("ascii")


def _base64(values: np.ndarray) -> str:
    little_endian = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little_endian).tobytes()).decode("ascii")

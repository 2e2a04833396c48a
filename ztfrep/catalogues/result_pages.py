"""Pages of pictures of search results and rankings."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.object_curves import ObjectCurves
from ztfrep.catalogues.queries import Queries
from ztfrep.catalogues.ranking import PERCENTILE
from ztfrep.catalogues.result_tables import format_number
from ztfrep.catalogues.similarity import describe_rows
from ztfrep.catalogues.stamp_pages import MAX_PICTURES, light_curve_page, stamp_page
from ztfrep.data.files import replacing
from ztfrep.encoders.reference import (
    ANOMALY_TERMS,
    CLASS_ENTROPY,
    NEIGHBOUR_DISTANCE,
    RECONSTRUCTION_ERROR,
)
from ztfrep.errors import InputError
from ztfrep.evaluation.alert_light_curves import AlertLightCurve
from ztfrep.evaluation.figures import png_bytes
from ztfrep.evaluation.light_curve_axes import is_drawn

_TERM_NAMES = {
    NEIGHBOUR_DISTANCE: "neighbours",
    RECONSTRUCTION_ERROR: "reconstruction",
    CLASS_ENTROPY: "entropy",
}
# Columns of a result that have a line of their own, or none.
_OTHER = ("query", "rank", "object_id", "candid", "n_alerts", "predicted_class", "probability",
          "distance", "link")  # fmt: skip


def similar_page(queries: Queries, catalogue: Catalogue, result: pd.DataFrame) -> Figure:
    """Draw the query, in a frame, and the rows of a result of `similar`.

    Raises InputError for several queries, and for a catalogue without pictures.
    """
    if len(queries.rows) != 1:
        raise InputError(
            "pictures",
            found=f"{len(queries.rows):,} queries",
            expected="one",
            remedy="ask for one alert, or write the table of all with --csv",
        )
    rows = result.index.to_numpy()
    query = describe_rows(queries.catalogue, queries.rows)
    captions = [["query", *_identity(query.iloc[0])], *_captions(result)]
    kind = "objects" if catalogue.info.rows == OBJECTS else "alerts"
    title = f"Nearest {kind} to {query['object_id'].iloc[0]} by cosine distance"
    return _draw([(queries.catalogue, queries.rows), (catalogue, rows)], captions, title, framed=1)


def ranking_page(catalogue: Catalogue, ranking: pd.DataFrame, title: str) -> Figure:
    """Draw the rows of a ranking; raises InputError for a catalogue without pictures."""
    return _draw([(catalogue, ranking.index.to_numpy())], _captions(ranking), title)


def write_page(path: str | Path, page: Figure) -> None:
    """Write a page as PNG: the same bytes for the same page."""
    content = png_bytes(page)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _draw(
    parts: list[tuple[Catalogue, np.ndarray]],
    captions: list[list[str]],
    title: str,
    *,
    framed: int = 0,
) -> Figure:
    if len(captions) > MAX_PICTURES:
        raise InputError(
            "pictures",
            found=f"{len(captions):,} rows",
            expected=f"at most {MAX_PICTURES}",
            remedy="ask for fewer",
        )
    if parts[0][0].info.rows == OBJECTS:
        tables = [curve for catalogue, rows in parts for curve in catalogue.light_curves(rows)]
        return light_curve_page(tables, captions, title, framed=framed)
    previews = []
    for catalogue, rows in parts:
        read = catalogue.previews(rows)
        if read is None:
            raise InputError(
                catalogue.path,
                found="no previews of stamps",
                expected="a catalogue with previews for pictures",
                remedy="make it again with ztfrep encode without --no-previews",
            )
        previews.append(read)
    curves = [curve for catalogue, rows in parts for curve in _light_curves(catalogue, rows)]
    return stamp_page(_concatenate(previews), captions, title, framed=framed, curves=curves)


def _light_curves(catalogue: Catalogue, rows: np.ndarray) -> list[AlertLightCurve | None]:
    """Return the light curves of some alerts' objects; None for one without an observation."""
    alerts = catalogue.table.iloc[rows]
    curves = ObjectCurves(catalogue).of_rows(rows)
    return [
        AlertLightCurve(name, curve, float(mjd))
        if curve is not None and is_drawn(curve).any()
        else None
        for name, mjd, curve in zip(alerts["object_id"], alerts["mjd"], curves, strict=True)
    ]


def _concatenate(previews: list[np.ndarray]) -> np.ndarray:
    """Return previews of one size: smaller ones get a margin of pixels that were not observed."""
    sizes = np.array([part.shape[-2:] for part in previews])
    margins = [[(0, 0), (0, 0), *((0, n) for n in missing)] for missing in sizes.max(0) - sizes]
    return np.concatenate([np.pad(*pair) for pair in zip(previews, margins, strict=True)])


def _captions(result: pd.DataFrame) -> list[list[str]]:
    return [_caption(row) for _, row in result.astype(object).iterrows()]


def _caption(row: pd.Series) -> list[str]:
    lines = [f"{row['rank']}.", *_identity(row)]
    lines[:2] = [" ".join(lines[:2])]
    if "distance" in row:
        lines.append(f"distance {format_number(row['distance'])}")
    for name in row.index:
        if name in ANOMALY_TERMS:
            percentile = row.get(f"{name}{PERCENTILE}")
            suffix = "" if percentile is None else f" ({percentile:.0f} %)"
            lines.append(f"{_TERM_NAMES[name]} {row[name]:.3g}{suffix}")
        elif name not in _OTHER and not name.endswith(PERCENTILE):
            lines.append(f"{name.replace('_', ' ')} {format_number(row[name])}")
    return lines


def _identity(row: pd.Series) -> list[str]:
    lines = [str(row["object_id"])]
    if "candid" in row and not pd.isna(row["candid"]):
        lines.append(f"candid {row['candid']}")
    if "n_alerts" in row:
        alerts = "alert" if row["n_alerts"] == 1 else "alerts"
        lines.append(f"{row['n_alerts']} {alerts}")
    return [*lines, f"{row['predicted_class']} {row['probability']:.2f}"]

"""The map of a catalogue, with a user's own classes if there are any."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ztfrep.catalogues.catalogue import Catalogue, read_catalogue
from ztfrep.catalogues.catalogue_schema import ALERTS
from ztfrep.errors import InputError
from ztfrep.explorer.map_columns import MapColumn, catalogue_columns, category
from ztfrep.explorer.map_files import MapFiles
from ztfrep.explorer.map_projections import MAX_TSNE_ROWS, TSNE, projection_methods
from ztfrep.explorer.projection_cache import read_or_project
from ztfrep.explorer.row_details import RowDetails
from ztfrep.explorer.stamp_sprites import StampImages

_CLASS, _SPLIT = "class", "split"


def make_map(
    path: str | Path,
    *,
    labels: str | Path | None = None,
    label_column: str = _CLASS,
    projections: Sequence[str] = (),
    seed: int = 7,
    rows_per_file: int = 1,
) -> MapFiles:
    """Return the files of the map of a catalogue of alerts or of objects.

    Parameters
    ----------
    path : path
        The catalogue, or a folder of catalogues.
    labels : path, optional
        A CSV of ids and classes in `label_column`; see `read_user_labels`. They are in place of the
        classes of the catalogue; with a column `split`, that is too.
    projections : sequence of str
        Some of "umap", "pca" and "tsne"; by default all, without t-SNE for many rows. They are
        stored beside the catalogue; see `read_or_project`.
    seed : int
    rows_per_file : int
        See `MapFiles`.

    Raises InputError for a file that is no catalogue or has no rows, vectors that are not finite,
    labels that match nothing, an unknown projection, and UMAP without its package.
    """
    catalogue = read_catalogue(path)
    if not len(catalogue):
        raise InputError(
            catalogue.path,
            found="no rows",
            expected="one or more",
            remedy="encode alerts with ztfrep encode",
        )
    methods = projection_methods(projections, len(catalogue))
    columns = catalogue_columns(catalogue)
    notes: list[str] = []
    if labels is not None:
        columns, notes = _with_labels(catalogue, columns, Path(labels), label_column)
    vectors = catalogue.vectors()
    _release_memory()
    projected = read_or_project(catalogue.path, vectors, methods, seed=seed)
    notes += _notes(columns, len(catalogue))
    if not projections and TSNE not in methods:
        notes.append(
            f"t-SNE of more than {MAX_TSNE_ROWS:,} rows is made if it is asked for: "
            "--projection umap --projection tsne."
        )
    stamps = None
    if catalogue.info.preview_size is not None:
        stamps = StampImages(lambda rows: _previews(catalogue, rows), len(catalogue))
    elif catalogue.info.rows == ALERTS:
        notes.append("This catalogue has no stamps: ztfrep encode writes them with --previews.")
    details = RowDetails(catalogue, vectors)
    return MapFiles(catalogue, projected, columns, details, stamps, rows_per_file, notes)


def _previews(catalogue: Catalogue, rows: range) -> np.ndarray:
    previews = catalogue.previews(rows)
    if previews is None:
        raise ValueError("a catalogue without previews")
    _release_memory()
    return previews


def _release_memory() -> None:
    """Return what Arrow has freed to the system: it would keep as much as the vectors take."""
    pa.default_memory_pool().release_unused()


def _with_labels(
    catalogue: Catalogue, columns: list[MapColumn], path: Path, label_column: str
) -> tuple[list[MapColumn], list[str]]:
    """Return the columns with those of a user's table in place of class and split, and a note."""
    from ztfrep.catalogues.user_labels import read_user_labels  # Slow to import.

    classes = catalogue.info.classes
    own = read_user_labels(path, catalogue, column=label_column)
    made = {}
    if own.classes:
        title = f"class of {path.name}"
        made[_CLASS] = category(_CLASS, title, own.classes, own.labels, classes)
    left_out = own.counts["rows"] - own.counts["matched"]
    notes = [
        f"{path.name}: {own.counts['matched']:,} rows match the catalogue, {left_out:,} do not or "
        "have no class."
    ]
    if own.counts["contradictory"]:
        notes.append(f"{own.counts['contradictory']:,} ids have several classes, and so none here.")
    splits = _read_splits(catalogue, path)
    if splits is not None:
        made[_SPLIT] = splits
    others = {column.name: column for column in columns}
    if _CLASS in others:
        given = others.pop(_CLASS)
        others["catalogue_class"] = MapColumn(
            "catalogue_class", "class of the catalogue", given.codes, given.description
        )
    for name in made:
        others.pop(name, None)
    return [*made.values(), *others.values()], notes


def _read_splits(catalogue: Catalogue, path: Path) -> MapColumn | None:
    """Return the column `split` of a user's table, or None if it has none that can be used."""
    from ztfrep.catalogues.user_labels import read_user_labels
    from ztfrep.sources.packets.delimited import open_table

    def names(columns: list[str]) -> list[str] | None:
        return columns if len(columns) > 1 else None

    with open_table(path, names, "ids and classes") as table:
        if _SPLIT not in table.names:
            return None
    try:
        splits = read_user_labels(path, catalogue, column=_SPLIT)
    except InputError as error:
        logging.warning("without its splits: %s", error)
        return None
    if not splits.classes:
        return None
    return category(_SPLIT, _SPLIT, splits.classes, splits.labels, ())


def _notes(columns: Sequence[MapColumn], n: int) -> list[str]:
    notes = [
        "Neighbours are those of the vectors, by cosine distance. Distances between groups of "
        "points, and their sizes, say little in UMAP and t-SNE."
    ]
    for column in columns:
        if column.name == _CLASS:
            without = int((column.codes == 255).sum())
            if without:
                notes.append(f"{without:,} of {n:,} rows have no {column.title}.")
    if all(column.name != _CLASS for column in columns):
        notes.append("This catalogue has no true classes: pass some with --labels.")
    return notes

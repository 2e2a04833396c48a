"""Rankings of the rows of a catalogue, by anomaly score or by a column, with explanations."""

from pathlib import Path

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.similarity import describe_rows
from ztfrep.encoders.encoder import ALERT_FOLDER, RELEASED, load
from ztfrep.encoders.model_folder import CARD
from ztfrep.encoders.reference import ANOMALY_TERMS, Reference
from ztfrep.errors import InputError, quote

ANOMALY = "anomaly"
_SCORE = "anomaly_score"
PERCENTILE = "_percentile"


def rank(
    catalogue: Catalogue,
    by: str = ANOMALY,
    *,
    top: int = 50,
    ascending: bool = False,
    predicted_class: str | None = None,
    reference: Reference | None = None,
) -> pd.DataFrame:
    """Return the rows of a catalogue with the highest anomaly scores, or values of a column.

    Parameters
    ----------
    catalogue : Catalogue
    by : str
        "anomaly", or a column of numbers, such as probability_SN, mjd or magpsf. Rows without a
        value are left out.
    top : int
        Number of rows.
    ascending : bool
        Return the rows with the lowest values.
    predicted_class : str, optional
        Rank only rows of this predicted class.
    reference : Reference, optional
        That of the model of the catalogue, see `matching_reference`, for percentiles.

    Returns
    -------
    DataFrame
        `rank` (from 1), `object_id`, `candid` or `n_alerts`, `predicted_class`, `probability` of
        that class, the column, and `link`. By anomaly, also the terms of the score, and with a
        reference their percentiles: `TERM_percentile` is the percentage of validation rows that
        have a smaller term. The index has the rows in the catalogue.

    Raises InputError for another column or class, and ValueError for top < 1.
    """
    if top < 1:
        raise ValueError(f"top {top}; expected 1 or more")
    table = catalogue.table
    column = _SCORE if by == ANOMALY else by
    numbers = [str(name) for name in table if pd.api.types.is_numeric_dtype(table[name])]
    if column not in numbers:
        raise _error(catalogue, f"no column {quote(by)} of numbers", [ANOMALY, *numbers], "--by")
    rows = np.arange(len(table))
    if predicted_class is not None:
        classes = list(catalogue.info.classes)
        if predicted_class not in classes:
            raise _error(catalogue, f"no class {quote(predicted_class)}", classes, "--class")
        rows = rows[(table["predicted_class"] == predicted_class).to_numpy()]
    values = table[column].iloc[rows]
    # Of rows with the same value, the first in the catalogue is first.
    order = values.reset_index(drop=True).dropna().sort_values(ascending=ascending, kind="stable")
    rows = rows[order.index[:top]]
    ranking = describe_rows(catalogue, rows)
    ranking.insert(0, "rank", np.arange(1, len(rows) + 1))
    link = ranking.pop("link")
    ranked = table.iloc[rows]
    if column not in ranking:
        ranking[column] = ranked[column]
    if by == ANOMALY:
        for name in (term for term in ANOMALY_TERMS if term in ranked):
            ranking[name] = ranked[name]
            if reference is not None and name in reference.quantiles:
                ranking[f"{name}{PERCENTILE}"] = reference.percentiles(
                    name, ranked[name].to_numpy()
                )
    return ranking.assign(link=link)


def matching_reference(catalogue: Catalogue, model: str | Path | None = None) -> Reference | None:
    """Return the reference of the rows of a catalogue, alerts or objects, of a model folder.

    `model` is the released encoder by default. Returns None if the folder has another model than
    that of the catalogue, or none. Raises InputError for a broken model.
    """
    folder = RELEASED if model is None else Path(model)
    if not any((folder / name).exists() for name in (CARD, ALERT_FOLDER)):
        return None
    encoder = load(folder, device="cpu")
    if encoder.checksum != catalogue.info.model:
        return None
    is_objects = catalogue.info.rows == OBJECTS
    return encoder.object_reference if is_objects else encoder.reference


def _error(catalogue: Catalogue, found: str, names: list[str], option: str) -> InputError:
    return InputError(
        catalogue.path,
        found=found,
        expected=f"one of {', '.join(names)}",
        remedy=f"name one with {option}",
    )

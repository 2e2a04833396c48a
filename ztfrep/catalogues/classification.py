"""Classification of the rows of a catalogue: classes, calibrated confidence, prediction sets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.catalogue_schema import ALERTS, PROBABILITY
from ztfrep.catalogues.user_labels import SEPARATOR
from ztfrep.data.files import replacing
from ztfrep.data.frames import write_frame
from ztfrep.encoders.encoder import Encoder
from ztfrep.encoders.reference import Reference
from ztfrep.errors import InputError, quote

_IDENTITY = ("object_id", "candid", "mjd", "fid")
_DECIMALS = 6


class Classifier(Protocol):
    """What classifies the rows of a catalogue: the model's own classifier, or a `LabelProbe`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the k classes."""

    def probabilities(self, catalogue: Catalogue) -> np.ndarray:
        """Return calibrated probabilities float32 `(n, k)` of the rows of a catalogue."""

    def prediction_sets(self, probabilities: np.ndarray, coverage: float) -> np.ndarray:
        """Return the classes of each row's prediction set, bool `(n, k)`."""


@dataclass(frozen=True, eq=False)
class ModelClassifier:
    """The classifier of a model: its probabilities are in the catalogue already.

    Attributes
    ----------
    classes : tuple of str
    reference : Reference
        Of the network that computed the rows.
    """

    classes: tuple[str, ...]
    reference: Reference

    @classmethod
    def of(cls, encoder: Encoder, catalogue: Catalogue) -> "ModelClassifier":
        """Return the classifier of an encoder for the rows of a catalogue.

        Raises InputError if another model computed them, and for a model without a reference.
        """
        if catalogue.info.model != encoder.checksum:
            raise InputError(
                catalogue.path,
                found="a catalogue of another model",
                expected="the catalogue of this model folder",
                remedy="name the folder of its model: --model, or encode the alerts again",
            )
        is_alerts = catalogue.info.rows == ALERTS
        reference = encoder.reference if is_alerts else encoder.object_reference
        if reference is None:
            raise InputError(
                "the model folder",
                found="no reference.safetensors",
                expected="the reference that training writes, for prediction sets",
                remedy="train it again with dvc repro",
            )
        return cls(catalogue.info.classes, reference)

    def probabilities(self, catalogue: Catalogue) -> np.ndarray:
        """Return the probabilities in a catalogue, float32 `(n, k)`.

        Raises InputError unless all are finite.
        """
        table = catalogue.table
        values = table[catalogue.info.probability_columns].to_numpy(np.float32)
        if not np.isfinite(values).all():
            raise InputError(
                catalogue.path,
                found="rows without class probabilities",
                expected="a finite number for every class",
                remedy="make it with ztfrep encode",
            )
        return values

    def prediction_sets(self, probabilities: np.ndarray, coverage: float) -> np.ndarray:
        """Return the classes of each row's prediction set; see `Reference.prediction_sets`."""
        return self.reference.prediction_sets(probabilities, coverage)


@dataclass(frozen=True, eq=False)
class Classification:
    """The classes of n alerts or objects.

    Attributes
    ----------
    rows : str
        "alerts" or "objects".
    classes : tuple of str
    coverage : float
        The stated coverage of the prediction sets.
    table : DataFrame
        `object_id`, `candid` and `fid` (of alerts), `mjd` (days), `predicted_class`, `confidence`
        (its calibrated probability), `prediction_set` (names of classes joined by `|`, the most
        probable first; it may be empty), and `probability_CLASS` for every class.
    sizes : int64 (n,)
        Numbers of classes in the prediction sets.
    """

    rows: str
    classes: tuple[str, ...]
    coverage: float
    table: pd.DataFrame
    sizes: np.ndarray

    def counts(self) -> dict[str, tuple[int, float]]:
        """Return the number of rows and their mean confidence, by predicted class."""
        groups = self.table.groupby("predicted_class")["confidence"]
        counts, means = groups.size(), groups.mean()
        return {n: (int(counts[n]), float(means[n])) for n in self.classes if n in counts}

    def size_counts(self) -> dict[int, int]:
        """Return the number of rows by the size of their prediction set."""
        sizes, counts = np.unique(self.sizes, return_counts=True)
        return dict(zip(sizes.tolist(), counts.tolist(), strict=True))

    def write(self, path: str | Path) -> None:
        """Write the table as `.csv` or `.parquet`; raises InputError for another suffix."""
        _WRITERS[check_suffix(Path(path))](Path(path), self.table)


def classify(
    catalogue: Catalogue, classifier: Classifier, *, coverage: float = 0.9
) -> Classification:
    """Classify the rows of a catalogue.

    `coverage` is the rate at which the prediction set of a row of each class has that class, for
    rows like those that the classifier was calibrated on. Raises InputError unless it is between 0
    and 1, or if the classifier is of another model than the catalogue.
    """
    check_coverage(coverage)
    probabilities = classifier.probabilities(catalogue)
    sets = classifier.prediction_sets(probabilities, coverage)
    best = probabilities.argmax(axis=1)
    names = np.asarray(classifier.classes, dtype=object)
    identity = [name for name in _IDENTITY if name in catalogue.table]
    shown = probabilities.astype(np.float64).round(_DECIMALS)
    table = catalogue.table[identity].assign(
        predicted_class=names[best],
        confidence=shown[np.arange(len(best)), best],
        prediction_set=_join(sets, probabilities, classifier.classes),
        **{f"{PROBABILITY}{name}": shown[:, k] for k, name in enumerate(classifier.classes)},
    )
    return Classification(
        catalogue.info.rows, tuple(classifier.classes), coverage, table, sets.sum(axis=1)
    )


def _join(sets: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return the names of the classes of each set, the most probable first."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    return [
        SEPARATOR.join([classes[k] for k in by_probability if members[k]])
        for by_probability, members in zip(order.tolist(), sets.tolist(), strict=True)
    ]


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


_WRITERS: dict[str, Callable[[Path, pd.DataFrame], None]] = {
    ".csv": _write_csv,
    ".parquet": write_frame,
}


def check_suffix(path: Path) -> str:
    """Return the suffix of a table's path; raises InputError unless it is .csv or .parquet."""
    if path.suffix not in _WRITERS:
        raise InputError(
            path,
            found=f"the suffix {quote(path.suffix)}",
            expected=" or ".join(_WRITERS),
            remedy="name another file",
        )
    return path.suffix


def check_coverage(coverage: float) -> None:
    """Raise InputError unless 0 < coverage < 1."""
    if not 0 < coverage < 1:
        raise InputError(
            "coverage",
            found=f"{coverage:g}",
            expected="a number between 0 and 1",
            remedy="0.9 is usual",
        )

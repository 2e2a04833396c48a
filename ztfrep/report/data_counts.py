"""Balances of the counts of a conversion: what was read is what was written, and each reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

SPLITS = ("train", "validation", "test")
REASONS = {
    "collapsed_duplicates": "identical to another row, collapsed into it",
    "excluded_contradictory_label": "identical stamps with different labels",
    "excluded_in_later_split": "also in a later split",
    "excluded_constant": "a stamp without contrast",
    "excluded_in_test_series": "also in a series of validation or test",
    "ignored_other": "another kind of file",
    "ignored_system": "a file of the operating system",
    "ignored_format": "a format that is not read",
    "ignored_nested": "an archive in an archive",
    "ignored_link": "a link",
    "ignored_special": "neither a file nor a folder",
    "ignored_no_access": "no permission to read it",
    "duplicates": "the same candid again",
    "bad_archive": "rest of a broken archive",
    "bad_unreadable": "a file that cannot be read",
    "bad_too_large": "larger than an alert can be",
    "bad_wire": "a message of Kafka without its schema",
    "bad_survey": "an alert of another survey",
    "bad_avro": "broken Avro",
    "bad_fields": "a missing or wrong field",
    "bad_no_stamp": "no stamp",
    "bad_gzip": "a stamp of broken gzip",
    "bad_fits": "a stamp of broken FITS",
    "bad_shape": "a stamp of a wrong shape",
    "bad_error": "another error",
    "excluded_jd": "no valid date",
    "excluded_candid": "no valid candid",
    "repeated": "the same observation again",
    "rows_without_id": "no identifier",
    "rows_with_bad_id": "an identifier that is none",
    "rows_without_class": "no class",
    "rows_malformed": "fields that do not fit the header",
    "excluded_classes": "a class that the class map excludes",
    "other_classes": "a class that no map has",
    "rows_unmatched": "matched no alert",
}
_WRITTEN = {
    "read": "read",
    "written": "written",
    "written_alerts": "alerts written",
    "prior_detections": "prior detections written",
    "upper_limits": "upper limits written",
    "rows_matched": "labels that match an alert",
}


class _Kinds(NamedTuple):
    """The keys of a balance: of what was read, of reasons, and of what was written.

    A key that is missing counts nothing. A reason that ends with `_` is all keys that begin so.
    """

    read: str
    excluded: tuple[str, ...]
    written: tuple[str, ...]


_PICKLE_STAMPS = _Kinds("read", ("collapsed_duplicates", "excluded_"), ("written",))
_PICKLE_SERIES = _Kinds("read_alerts", ("excluded_",), ("written_alerts",))
_FILES = _Kinds("seen", ("ignored_",), ("read",))
_PACKETS = _Kinds("read", ("duplicates", "bad_"), ("written",))
_OBSERVATIONS = _Kinds("read", ("excluded_", "repeated"), ("prior_detections", "upper_limits"))
_LABELS = _Kinds(
    "rows",
    (
        "rows_without_id",
        "rows_with_bad_id",
        "rows_without_class",
        "rows_malformed",
        "excluded_classes",
        "other_classes",
        "rows_unmatched",
    ),
    ("rows_matched",),
)


@dataclass(frozen=True)
class Balance:
    """What was read, left out by reason, and written; columns are splits, or one for all.

    Attributes
    ----------
    title : str
    columns : tuple of str
    verb : str
        "found" or "read".
    read : tuple of int
    excluded, written : dict of tuple of int
        Counts of each column, by reason and by what was written.
    """

    title: str
    columns: tuple[str, ...]
    verb: str
    read: tuple[int, ...]
    excluded: dict[str, tuple[int, ...]]
    written: dict[str, tuple[int, ...]]

    @property
    def unexplained(self) -> int:
        """Rows that were read, and are neither written nor left out for a reason, or the reverse.

        It is the sum of the absolute differences of all columns.
        """
        parts = [*self.excluded.values(), *self.written.values()]
        return sum(
            abs(total - sum(part[column] for part in parts))
            for column, total in enumerate(self.read)
        )

    @property
    def total_excluded(self) -> int:
        """Rows that were left out."""
        return sum(map(sum, self.excluded.values()))


def balance_counts(data: Mapping[str, Any]) -> list[Balance]:
    """Return the balances of the content of `data.json`, of whatever source it is."""
    balances = []
    for key, title, kinds in (
        ("files", "Files", _FILES),
        ("members", "Files in archives", _FILES),
        ("packets", "Alert packets", _PACKETS),
        ("prior_observations", "Prior observations in the packets", _OBSERVATIONS),
        ("labels", "Rows of the table of labels", _LABELS),
    ):
        if isinstance(data.get(key), Mapping) and kinds.read in data[key]:
            balances.append(_balance(title, {"all": data[key]}, kinds))
    for key, title, kinds in (
        ("stamps", "Alerts", _PICKLE_STAMPS),
        ("series", "Alerts of the series", _PICKLE_SERIES),
    ):
        splits = _splits(data.get(key))
        if splits and all(kinds.read in counts for counts in splits.values()):
            balances.append(_balance(title, splits, kinds))
    return balances


def _splits(table: Any) -> dict[str, Mapping[str, Any]]:
    if not isinstance(table, Mapping):
        return {}
    return {name: table[name] for name in SPLITS if isinstance(table.get(name), Mapping)}


def _balance(title: str, columns: Mapping[str, Mapping[str, Any]], kinds: _Kinds) -> Balance:

    def counts(key: str) -> tuple[int, ...]:
        return tuple(int(column.get(key, 0)) for column in columns.values())

    keys = dict.fromkeys(
        key
        for reason in kinds.excluded
        for column in columns.values()
        for key in column
        if key == reason or (reason.endswith("_") and key.startswith(reason) and _is_count(key))
    )
    return Balance(
        title,
        tuple(columns),
        "found" if kinds.read == "seen" else "read",
        counts(kinds.read),
        {REASONS.get(key, key.replace("_", " ")): counts(key) for key in keys},
        {_WRITTEN[key]: counts(key) for key in kinds.written},
    )


def _is_count(key: str) -> bool:
    """Return False for counts of a class by its name, which are counted already."""
    return not key.endswith("_by_name")


def count_classes(data: Mapping[str, Any], table: str) -> dict[str, dict[str, int]]:
    """Return the numbers of rows by class and split of the table `stamps` or `series`.

    Those that were written, or else those that were read; empty if the source counts no classes.
    """
    splits = _splits(data.get(table))
    for prefix in ("written_", "objects_", "read_"):
        found: dict[str, dict[str, int]] = {}
        for split, counts in splits.items():
            for key, count in counts.items():
                name = key.removeprefix(prefix)
                if name != key and name not in ("alerts", "objects"):
                    found.setdefault(name, {})[split] = int(count)
        if found:
            return found
    return {}

"""The classes of the rows of a table of labels: ours, mapped onto ours, or none; all counted."""

from collections import Counter
from typing import NamedTuple

from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.class_map import ClassMap
from ztfrep.errors import quote
from ztfrep.sources.packets.identifiers import strip_padding

# Kinds of rows that have another class than ours in the table.
MAPPED, EXCLUDED, OTHER = "mapped", "of_excluded_classes", "of_other_classes"
WITHOUT_CLASS = "without_class"
# Distinct names of classes that are stored, and characters of each.
_MAX_CLASSES, _MAX_CLASS_CHARACTERS = 1000, 40
_LABEL_OF_CLASS = {name.lower(): label for label, name in enumerate(CLASSES)}


class RowClass(NamedTuple):
    """The class in a row: its label (an index of CLASSES, or -1), the row's kind, its name.

    The kind is empty for one of CLASSES, and the name only there for a kind that is counted by it.
    """

    label: int
    kind: str
    name: str = ""


class LabelClasses:
    """Classifies the class column of rows, and counts the names that are not those of CLASSES.

    `names` are the numbers of rows by name, for each of the kinds MAPPED, EXCLUDED and OTHER;
    `targets` are those of CLASSES that the names of MAPPED are.
    """

    def __init__(self, class_map: ClassMap) -> None:
        self._map = class_map
        # By the text of the field, for the fields that were read.
        self._of_text: dict[str, RowClass] = {}
        self.targets: dict[str, str] = {}
        self.names: dict[str, Counter[str]] = {
            kind: Counter() for kind in (MAPPED, EXCLUDED, OTHER)
        }

    def count(self, text: str) -> RowClass:
        """Return the class in the class column of a row, and count it."""
        row_class = self._of_text.get(text) or self._parse(text)
        if row_class.name:
            names = self.names[row_class.kind]
            if row_class.name in names or len(names) < _MAX_CLASSES:
                names[row_class.name] += 1
        return row_class

    def most_common(self, kind: str, maximum: int) -> dict[str, int]:
        """Return the most frequent names of a kind of rows, and their numbers."""
        return dict(self.names[kind].most_common(maximum))

    def most_common_mapped(self, maximum: int) -> dict[str, dict[str, int]]:
        """Return the most frequent names of mapped rows, and their numbers, by target."""
        names = self.most_common(MAPPED, maximum).items()
        by_target = {
            target: {name: count for name, count in names if self.targets[name] == target}
            for target in CLASSES
        }
        return {target: counts for target, counts in by_target.items() if counts}

    def _parse(self, text: str) -> RowClass:
        name = strip_padding(text[: 4 * _MAX_CLASS_CHARACTERS])
        row_class = self._classify(name)
        if len(self._of_text) < _MAX_CLASSES and len(text) <= 4 * _MAX_CLASS_CHARACTERS:
            self._of_text[text] = row_class
        return row_class

    def _classify(self, name: str) -> RowClass:
        if not name:
            return RowClass(-1, WITHOUT_CLASS)
        label = _LABEL_OF_CLASS.get(name.lower())
        if label is not None:
            return RowClass(label, "")
        shown = quote(name, _MAX_CLASS_CHARACTERS)[1:-1]
        mapped = self._map.map(name)
        if mapped is not None:
            if len(self.targets) < _MAX_CLASSES:
                self.targets[shown] = mapped
            return RowClass(CLASSES.index(mapped), MAPPED, shown)
        return RowClass(-1, EXCLUDED if name in self._map else OTHER, shown)

"""Class maps: the names of a catalogue's classes, and the class that each of them is."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ztfrep.data.strict_yaml import read_yaml
from ztfrep.errors import InputError, quote

SHIPPED = Path(__file__).with_name("class_maps") / "default.yaml"
# Characters of a name that count: `*` and `?` tell SIMBAD's codes and candidates apart from other
# names (`No*` is a nova, `AGN?` is a candidate), and catalogues mark what is uncertain by `:` too.
_IGNORED = re.compile(r"[^\w*?:]|_")
# A catalogue has no longer name of a class.
_MAX_CHARACTERS = 80
# The key that says whether the shipped map is used for the names that a file lacks.
_DEFAULT = "default"
# As YAML writes null; a quoted "null" cannot be told apart.
_NULL = ("null", "Null", "NULL", "~")
_EXPECTED = 'a list of names for each class, such as SN: ["SN Ia", "SN II"]'
_REMEDY = "give a YAML file of a few kilobytes; docs/data.md has an example"


@dataclass(frozen=True)
class ClassMap:
    """The class of each name of a catalogue, by its normalised name.

    None is the class of a name that is known and deliberately none of the classes.
    """

    classes: Mapping[str, str | None]

    def __contains__(self, name: str) -> bool:
        """Return whether the map has the name, with a class or as none."""
        return normalise_name(name) in self.classes

    def map(self, name: str) -> str | None:
        """Return the class of a name; None if it is deliberately none, or not in the map."""
        return self.classes.get(normalise_name(name))

    def extended(self, other: "ClassMap") -> "ClassMap":
        """Return a map that has the other's names as well, where this one does not have them."""
        return ClassMap({**other.classes, **self.classes})


def normalise_name(name: str) -> str:
    """Return a name of a class without case, blanks and punctuation other than `*`, `?` and `:`."""
    return _IGNORED.sub("", unicodedata.normalize("NFKC", name)).casefold()


def read_class_map(
    path: Path | None = None, *, classes: Sequence[str] | None = None, default: bool = False
) -> ClassMap:
    """Read a class map from YAML: `class: [names of a catalogue, ...]`, `null: [...]` for none.

    Without a path it is the shipped map, onto AGN, SN, VS, asteroid and bogus. `classes` are the
    only classes that names may be mapped onto, in any case; by default there may be any. A name
    that is one of them is that class, and may not be mapped onto another. With `default`, the
    shipped map is used for the names that the file lacks; a key `default` of the file, true or
    false, has priority. Raises InputError for any other file, and for a name with two classes.
    """
    if path is None:
        return _read_shipped_map()
    content = read_yaml(path, _REMEDY)
    if not isinstance(content, dict):
        raise _error(path, "", _describe(content), _EXPECTED)
    content = dict(content)
    if isinstance(content.get(_DEFAULT), bool):
        default = content.pop(_DEFAULT)
    class_map = _parse(path, content, classes)
    return class_map.extended(_read_shipped_map()) if default else class_map


@cache
def _read_shipped_map() -> ClassMap:
    return _parse(SHIPPED, read_yaml(SHIPPED), None)


def _parse(path: Path, content: dict[str, Any], classes: Sequence[str] | None) -> ClassMap:
    own = {name.lower(): name for name in classes or ()}
    normalised = {normalise_name(name): name for name in classes or ()}
    mapped: dict[str, str | None] = {}
    for key, names in content.items():
        target = None if key in _NULL else key
        if target is not None and classes is not None:
            if target.lower() not in own:
                expected = f"{', '.join(classes)} or null"
                remedy = "map names onto these classes, or onto null"
                raise _error(path, "", f"the class {quote(target)}", expected, remedy)
            target = own[target.lower()]
        if not isinstance(names, list):
            raise _error(path, key, _describe(names), _EXPECTED)
        for item in names:
            name = _parse_name(path, key, item)
            itself = normalised.get(name, target)
            if itself != target:
                found = f"{quote(str(item))}, which is the class {itself}"
                raise _error(path, key, found, "names of other classes", "remove it")
            if mapped.setdefault(name, target) != target:
                found = f"{quote(str(item))}, which is in the list of {mapped[name] or 'null'} too"
                remedy = "keep it in one list; case, blanks and punctuation do not matter"
                raise _error(path, key, found, "one class for each name", remedy)
    return ClassMap(mapped)


def _parse_name(path: Path, key: str, item: Any) -> str:
    """Return a normalised name; raises InputError if it is none."""
    # Codes may be numbers; true and false are integers to Python.
    if isinstance(item, bool) or not isinstance(item, str | int):
        raise _error(path, key, _describe(item), "names", "write it in quotes if it is a name")
    text = str(item)
    if len(text) > _MAX_CHARACTERS:
        found = f"a name of {len(text)} characters"
        raise _error(path, key, found, f"at most {_MAX_CHARACTERS}", "shorten it")
    name = normalise_name(text)
    if not name:
        raise _error(path, key, quote(text), "a name with a letter or a digit", "remove it")
    return name


def _describe(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {quote(value)}"
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else f"{value} ({type(value).__name__})"


def _error(path: Path, key: str, found: str, expected: str, remedy: str = "") -> InputError:
    where = f"{path}: {key}" if key else str(path)
    remedy = remedy or "docs/data.md has an example"
    return InputError(where, found=found, expected=expected, remedy=remedy)

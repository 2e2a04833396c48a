"""A strict reader of small YAML files: tables, lists, numbers and text, by YAML 1.2 as in DVC.

PyYAML's own loaders follow YAML 1.1, in which `1e-05`, as DVC writes a small number, is text, `on`
is true and `12:30` is 750. They also accept equal keys, and expand aliases.
"""

import math
import re
import unicodedata
from pathlib import Path
from typing import Any, NoReturn

import yaml

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import InputError, quote

# params.yaml has some 8,000 bytes, and tables three deep.
_MAX_BYTES = 1 << 15
_MAX_DEPTH = 10
# A float64 has 17 significant digits, an int64 has 19.
_MAX_DIGITS = 40

_NULL = ("", "~", "null", "Null", "NULL")
_BOOLEAN = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_yaml(path: str | Path, remedy: str | None = None) -> Any:
    """Read a file into dicts, lists, text, integers, finite floats, booleans and None.

    Raises InputError for anything else: aliases, tags, merge keys, equal keys, control characters,
    a file of more than 32 KiB. The message has the key or the line. `remedy` is that of a file that
    is missing or too large, in place of the one for params.yaml.
    """
    path = Path(path)
    return _parse(_read_text(path, remedy), path)


def parse_yaml(content: bytes, where: str | Path) -> Any:
    """Parse the bytes of a file as `read_yaml` does; an error names `where`."""
    return _parse(_decode(content, Path(where), None), Path(where))


def _parse(text: str, path: Path) -> Any:
    try:
        node = _NodeLoader(text, path).get_single_node()
    except yaml.YAMLError as error:
        raise _explain(path, error) from error
    # PyYAML converts the digits of a directive or an escape before it checks them.
    except (ValueError, OverflowError) as error:
        found = quote(str(error), 80)
        raise InputError(path, found=found, expected="YAML", remedy="correct the syntax") from error
    return None if node is None else _convert_node(path, "", node)


def _read_text(path: Path, given: str | None) -> str:
    remedy = given or "run from the repository's root"
    try:
        if path.exists() and not path.is_file():
            found = "a folder" if path.is_dir() else "something that is not a file"
            raise InputError(path, found=found, expected="a file", remedy=remedy)
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(path, found=str(error), expected="a file", remedy=remedy) from error
    return _decode(content, path, given)


def _decode(content: bytes, path: Path, given: str | None) -> str:
    if len(content) > _MAX_BYTES:
        found = f"a file of more than {_MAX_BYTES:,} bytes"
        remedy = given or "compare it with params.yaml in Git"
        raise InputError(path, found=found, expected="a few thousand bytes", remedy=remedy)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"{describe(content[:HEAD_BYTES])}, whose byte {error.start + 1} is not UTF-8"
        remedy = "save it as UTF-8"
        raise InputError(path, found=found, expected="YAML in UTF-8", remedy=remedy) from error


class _NodeLoader(yaml.BaseLoader):
    """Composes the nodes of a document; refuses aliases, tags and deep nesting."""

    def __init__(self, text: str, path: Path) -> None:
        super().__init__(text)
        self._path = path
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, as PyYAML's `Composer` does."""
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            _refuse(
                self._path,
                line,
                f"an alias, {quote('*' + str(event.anchor))}",
                "write its value out",
            )
        if event.tag is not None:
            _refuse(self._path, line, f"a tag, {quote(event.tag)}", "remove it")
        if self._depth >= _MAX_DEPTH:
            _refuse(
                self._path, line, f"more than {_MAX_DEPTH} tables in one another", "unpack them"
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _refuse(path: Path, line: int, found: str, remedy: str) -> NoReturn:
    expected = "tables, lists, numbers and text"
    raise InputError(path, found=f"{found}, in line {line}", expected=expected, remedy=remedy)


def _explain(path: Path, error: yaml.YAMLError) -> InputError:
    remedy = "correct the syntax"
    mark = getattr(error, "problem_mark", None)
    position = f" in line {mark.line + 1}" if mark else ""
    problem: str = getattr(error, "problem", None) or str(error)
    if "'\\t'" in problem:
        problem, remedy = "a tab", "indent with blanks"
    elif isinstance(error, yaml.reader.ReaderError):
        problem = f"the character {ascii(chr(error.character))}"
        remedy = "remove it"
    else:
        problem = quote(problem, 80)
    return InputError(path, found=problem + position, expected="YAML", remedy=remedy)


def _convert_node(path: Path, key: str, node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _convert_table(path, key, node)
    if isinstance(node, yaml.SequenceNode):
        return [_convert_node(path, f"{key}.{i}", item) for i, item in enumerate(node.value)]
    text: str = node.value
    where = f"{path}: {key}" if key else str(path)
    if node.style is None:  # without quotes
        if text in _NULL:
            return None
        if text in _BOOLEAN:
            return _BOOLEAN[text]
        return _convert_number(where, text)
    return _check_text(where, text)


def _convert_table(path: Path, key: str, node: yaml.MappingNode) -> dict[str, Any]:
    table: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for name_node, value_node in node.value:
        line = name_node.start_mark.line + 1
        if not isinstance(name_node, yaml.ScalarNode):
            _refuse(path, line, "a table or a list as a key", "give it a name")
        name = name_node.value
        if name == "<<":
            _refuse(path, line, "a merge key, <<", "write its keys out")
        # Messages show keys as they are.
        if not name.isprintable() or len(name) > 80:
            _refuse(path, line, f"the key {quote(name)}", "correct its name")
        inner = f"{key}.{name}" if key else name
        if name in table:
            raise InputError(
                f"{path}: {inner}",
                found=f"the key twice, in lines {lines[name]} and {line}",
                expected="it once",
                remedy="remove one of them",
            )
        lines[name] = line
        table[name] = _convert_node(path, inner, value_node)
    return table


def _convert_number(where: str, text: str) -> int | float | str:
    """Convert the text of a scalar without quotes to a number, or else check it as text."""
    number = _FLOAT.fullmatch(text)
    if number and len(text) > _MAX_DIGITS:
        found = f"a number of {len(text):,} characters"
        remedy = "correct this value; text is written in quotes"
        raise InputError(where, found=found, expected=f"{_MAX_DIGITS} at most", remedy=remedy)
    if _INTEGER.fullmatch(text):
        return int(text)
    value = float(text.replace("_", "")) if number else 0.0
    if _NOT_FINITE.fullmatch(text) or not math.isfinite(value):
        remedy = "correct this value"
        raise InputError(where, found=text, expected="a finite number", remedy=remedy)
    return value if number else _check_text(where, text)


def _check_text(where: str, text: str) -> str:
    for character in text:
        # No path or name has them, and a message of one line cannot show them.
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise InputError(
                where,
                found=f"text with the character {ascii(character)}",
                expected="text without control characters",
                remedy="correct this value",
            )
    return text

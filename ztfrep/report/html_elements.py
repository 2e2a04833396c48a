"""HTML elements as text, in which everything that is not HTML already is escaped."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

_WITHOUT_CONTENT = ("br", "img", "meta")


class Html(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


Content: TypeAlias = "str | Iterable[Content] | None"
Attribute: TypeAlias = str | int | float | bool | None


def join(*content: Content) -> Html:
    """Return content as HTML: text is escaped unless it is `Html`, None is nothing."""
    return Html("".join(_parts(content)))


def _parts(content: Content) -> Iterable[str]:
    if content is None:
        return
    if isinstance(content, Html):
        yield str(content)
    elif isinstance(content, str):
        yield html.escape(content, quote=False)
    else:
        for part in content:
            yield from _parts(part)


def element(name: str, /, *content: Content, **attributes: Attribute) -> Html:
    """Return an element with attributes; `class_` is class, and `_` in names is `-`.

    None and False leave an attribute out, and True has no value. Numbers have at most two decimals.
    """
    text = "".join(
        f" {_attribute_name(key)}{_attribute_value(value)}"
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _WITHOUT_CONTENT:
        return Html(f"<{name}{text}>")
    return Html(f"<{name}{text}>{join(content)}</{name}>")


def _attribute_name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _attribute_value(value: Attribute) -> str:
    if value is True:
        return ""
    if isinstance(value, float):
        value = f"{value:.2f}".rstrip("0").rstrip(".")
        value = "0" if value == "-0" else value
    return f'="{html.escape(str(value))}"'


def table(
    head: Sequence[Content],
    rows: Iterable[Sequence[Content]],
    caption: str,
    *,
    texts: Sequence[int] = (),
    names: int = 1,
) -> Html:
    """Return a table that scrolls in a box of its own.

    The first `names` columns are text, of which the first is the name of the row. Other columns are
    numbers, but those of the indices `texts`.
    """

    def align(column: int) -> str | None:
        return None if column < names or column in texts else "number"

    header = [
        element("th", cell, scope="col", class_=align(column)) for column, cell in enumerate(head)
    ]
    body = [
        element(
            "tr",
            (
                element("th", cell, scope="row")
                if column == 0
                else element("td", cell, class_=align(column))
                for column, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    content = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", header)),
        element("tbody", body),
    )
    # A box that scrolls must be reachable by the keyboard.
    return element("div", content, class_="scroll", role="region", aria_label=caption, tabindex="0")


def details(summary: Content, *content: Content) -> Html:
    """Return content that is shown on demand."""
    return element("details", element("summary", summary), *content)


def bullets(items: Iterable[Content], **attributes: Attribute) -> Html:
    """Return a list."""
    return element("ul", (element("li", item) for item in items), **attributes)


def anchor(text: str) -> str:
    """Return the name of an anchor for a text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")

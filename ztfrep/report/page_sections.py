"""Sections of a page with headings of two levels, and their table of contents."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ztfrep.report.html_elements import Content, Html, anchor, element


@dataclass(frozen=True)
class Section:
    """A section: its title, its content, and sections in it."""

    title: str
    content: Sequence[Content] = ()
    parts: Sequence["Section"] = field(default_factory=tuple)

    def __bool__(self) -> bool:
        return bool(self.content or self.parts)

    def html(self, parent: str = "") -> Html:
        """Return the section with its anchor; `parent` is the anchor of the section around it."""
        name = f"{parent}{anchor(self.title)}"
        heading = element("h3" if parent else "h2", self.title, id=f"{name}-heading")
        return element(
            "section",
            heading,
            *self.content,
            *(part.html(f"{name}-") for part in self.parts),
            id=name,
            aria_labelledby=f"{name}-heading",
        )


def table_of_contents(sections: Sequence[Section]) -> Html:
    """Return links to sections and to the sections in them."""
    return element(
        "nav", element("p", "Contents"), _entries(sections, ""), aria_label="Contents", class_="toc"
    )


def _entries(sections: Sequence[Section], parent: str) -> Html:
    items = []
    for section in sections:
        name = f"{parent}{anchor(section.title)}"
        inner = _entries(section.parts, f"{name}-") if section.parts else None
        items.append(element("li", element("a", section.title, href=f"#{name}"), inner))
    return element("ol", items)


def paragraph(*content: Content, class_: str | None = None) -> Html:
    """Return a paragraph."""
    return element("p", *content, class_=class_)


def not_evaluated(what: str, why: str) -> Html:
    """Return the sentence in place of what a run does not have."""
    return paragraph(element("strong", "Not evaluated: "), f"{what}. {why}", class_="missing")

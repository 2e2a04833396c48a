"""The bundle of the page that is committed was built from the sources that are committed."""

import hashlib
import json
import re

from tests.explorer.random_map import PAGE

WEB = PAGE.parent


def test_bundle_is_of_these_sources():
    names = ["build.mjs", "package-lock.json", *(f"src/{p.name}" for p in (WEB / "src").iterdir())]
    sources = hashlib.sha256()
    for name in sorted(names):
        content = (WEB / name).read_bytes()
        sources.update(f"{name}\0{len(content)}\0".encode() + content)
    first_line = (PAGE / "explorer.js").read_text(encoding="utf-8").split("\n", 1)[0]
    expected = f"/* sources: sha256 {sources.hexdigest()} */"
    assert first_line == expected, "the page's sources changed: run `make web`"


def test_page_is_the_source_itself():
    assert (PAGE / "index.html").read_bytes() == (WEB / "src" / "index.html").read_bytes()


def test_page_names_no_other_machine():
    texts = [(PAGE / name).read_text(encoding="utf-8") for name in ("index.html", "explorer.css")]
    texts.append((PAGE / "explorer.js").read_text(encoding="utf-8"))
    addresses = {address for text in texts for address in re.findall(r"https?://[\w.]+", text)}
    # The name of a language, which nothing is read from.
    assert addresses == {"http://www.w3.org"}


def test_packages_are_pinned_without_an_address():
    text = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in text and "://" not in text
    packages = json.loads(text)["packages"]
    named = packages.pop("")["devDependencies"]
    assert all(packages[f"node_modules/{name}"]["version"] == pin for name, pin in named.items())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


def test_scripts_make_no_html_of_text():
    for path in (WEB / "src").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text
        )

"""The screenshots in docs/images: the report, and the map of a catalogue with an alert pinned.

    python -m benchmarks.screenshots data/report.html http://127.0.0.1:8765/ ZTF20aaaaaxp

The map is one that `ztfrep explore` shows, and the last argument is the object that is pinned.
"""

import argparse
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

_IMAGES = Path(__file__).parents[1] / "docs/images"
_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = ("--no-sandbox", "--enable-unsafe-swiftshader")
_DESKTOP, _PHONE = (1280, 800), (390, 844)
# Milliseconds until a map has flown to its pinned row and shows the stamps of the nearest.
_SETTLED = 4_000


def main() -> None:
    """Write the screenshots of both pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("map")
    parser.add_argument("object")
    options = parser.parse_args()
    report = options.report.resolve().as_uri()
    pinned = f"{options.map}#id={options.object}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        _write(browser, report, "report-light", _DESKTOP)
        _write(browser, report, "report-dark", _DESKTOP, dark=True)
        _write(browser, report, "report-phone", _PHONE)
        _write(browser, options.map, "map-dark", _DESKTOP, dark=True)
        _write(browser, pinned, "map-pinned", _DESKTOP)
        _write(browser, pinned, "map-phone", _PHONE)
        browser.close()


def _write(
    browser: Browser, address: str, name: str, size: tuple[int, int], *, dark: bool = False
) -> None:
    """Write the top of a page as NAME.png."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_timeout(_SETTLED)
    page.screenshot(path=_IMAGES / f"{name}.png")
    context.close()


if __name__ == "__main__":
    main()

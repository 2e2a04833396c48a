"""Pages in a real browser. An error, a warning or a request off the machine fails a test."""

import os
import re
import shutil
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    # WebGL without a GPU.
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)
# Of the browser, not of the page: drawing without a GPU is slow where pixels are read back.
_OWN_MESSAGES = re.compile(r"GPU stall due to ReadPixels|software WebGL|SwiftShader", re.IGNORECASE)


# Of a file of tests: its event loop runs in this thread, where other tests start their own.
@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium; without one, tests are skipped, but fail in CI."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        reason = "no Chromium; install it: apt install chromium"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a path or an address and returns the page.

    Its options are width and height in pixels, `dark`, and others of a context of playwright. At
    the end of the test no page may have written a warning or an error to its console, thrown an
    exception or requested anything off the machine.
    """
    contexts, faults = [], []

    def open_page(target, *, width=1280, height=800, dark=False, **options):
        address = target if "://" in str(target) else target.resolve().as_uri()
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            **options,
        )
        contexts.append(context)
        context.on("request", lambda request: _check_address(request.url, faults))
        context.on("console", lambda message: _check_message(message, faults))
        context.on("weberror", lambda error: faults.append(f"exception: {error.error.message}"))
        page = context.new_page()
        page.goto(address)
        return page

    open_page.faults = faults
    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def _check_address(address, faults):
    parts = urlsplit(address)
    is_local = parts.scheme in ("file", "data", "blob") or parts.hostname in (
        "127.0.0.1",
        "localhost",
    )
    if not is_local:
        faults.append(f"request off the machine: {address}")


def _check_message(message, faults):
    if message.type in ("error", "warning") and not _OWN_MESSAGES.search(message.text):
        faults.append(f"console {message.type}: {message.text}")

"""The checks that every page of a browser test goes through."""

import pytest

_PAGE = '<!doctype html><html lang="en"><title>page</title><h1>page</h1>{}'


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("<script>console.error('broken')</script>", "console error: broken"),
        ("<script>console.warn('odd')</script>", "console warning: odd"),
        ("<script>throw new Error('unexpected')</script>", "exception: unexpected"),
        ('<img src="https://example.org/x.png">', "request off the machine"),
    ],
)
def test_a_faulty_page_is_found(open_page, tmp_path, content, fault):
    path = tmp_path / "page.html"
    path.write_text(_PAGE.format(content))
    open_page(path).wait_for_timeout(100)
    found = [text for text in open_page.faults if text.startswith(fault)]
    open_page.faults.clear()
    assert found


def test_a_page_has_the_width_and_the_theme_that_were_asked_for(open_page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(_PAGE.format(""))
    page = open_page(path, width=360, dark=True)
    assert page.evaluate("innerWidth") == 360
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")

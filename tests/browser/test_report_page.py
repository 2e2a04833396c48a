"""The report in a real browser: on a desktop, on a phone, in both themes and in print."""

import pytest

from tests.report.small_runs import write_csv, write_page, write_run

HOSTILE = "<img src=x onerror=document.title='hacked'>"
_OVERFLOW = """() => [...document.querySelectorAll("body *")].filter(e => {
  const box = e.getBoundingClientRect();
  return box.right > innerWidth + 1 && box.width && !e.closest(".scroll") && !e.closest("svg");
}).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture
def path(tmp_path):
    write_run(tmp_path, classes=("AGN", HOSTILE, "VS"))
    write_page(tmp_path)
    return tmp_path / "report.html"


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_the_window_and_wide_tables_scroll_in_their_own_box(
    open_page, path, width, dark
):
    page = open_page(path, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(_OVERFLOW) == []
    for details in page.locator("details").all():
        details.evaluate("e => { e.open = true }")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.title().startswith("Run on the simulated sample")


def test_text_is_legible_in_both_themes_and_the_charts_have_their_colours(open_page, path):
    contrast = """selector => {
      const rgb = e => getComputedStyle(e);
      const parse = c => c.match(/[\\d.]+/g).map(Number).map(v => {
        v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
      const light = c => { const [r, g, b] = parse(c); return 0.2126*r + 0.7152*g + 0.0722*b; };
      const e = document.querySelector(selector), style = getComputedStyle(e);
      const text = light(e.closest("svg") ? style.fill : style.color);
      const paper = light(getComputedStyle(document.body).backgroundColor);
      return (Math.max(text, paper) + 0.05) / (Math.min(text, paper) + 0.05);
    }"""
    for dark in (False, True):
        page = open_page(path, dark=dark)
        selectors = ("p", ".toc li li a", "svg .tick", "svg .value", ".ends", "summary", "dt", "a")
        for selector in selectors:
            assert page.evaluate(contrast, selector) >= 4.5, (selector, dark)
        fill = "getComputedStyle(document.querySelector('svg circle')).fill"
        assert page.evaluate(fill).startswith("rgb(")
        # A variable that is not there would leave them black.
        assert page.evaluate(fill) != "rgb(0, 0, 0)"


def test_an_anchor_leads_to_its_section_and_the_keyboard_to_a_wide_table(open_page, path):
    page = open_page(path)
    page.locator("nav a", has_text="Paired differences").first.click()
    assert page.url.endswith("#alerts-paired-differences")
    top = "document.getElementById('alerts-paired-differences').getBoundingClientRect().top"
    assert 0 <= page.evaluate(top) < 60
    table = page.locator(".scroll").first
    table.focus()
    assert page.evaluate("document.activeElement.className") == "scroll"


def test_screen_readers_have_the_name_of_every_chart(open_page, path):
    page = open_page(path)
    charts = page.locator("svg[role=img]")
    named = page.get_by_role("img", name="Balanced accuracy of alerts")
    assert named.count() == 1
    assert charts.count() > 15
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("navigation", name="Contents").count() == 1


def test_the_printed_page_is_light_without_navigation_and_without_cut_tables(open_page, path):
    page = open_page(path, dark=True, width=720)
    page.emulate_media(media="print", color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    cut = """() => [...document.querySelectorAll(".scroll")].filter(
      e => e.offsetWidth && e.firstElementChild.getBoundingClientRect().right > innerWidth + 1
    ).map(e => e.ariaLabel)"""
    assert page.evaluate(cut) == []
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_a_class_name_that_is_html_is_text(open_page, path):
    page = open_page(path)
    page.wait_for_timeout(100)
    assert page.title().startswith("Run on")
    assert page.locator("img[src=x]").count() == 0
    write_csv(path.parent / "metrics/plots/recurrent.csv", "actual,predicted", [])
    write_page(path.parent)
    assert open_page(path).locator("h1").count() == 1

"""The page of `ztfrep explore` in a browser, with random rows: from a server and from a folder."""

import functools
import http.server
import io
import json
import shutil
import threading

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.explorer.random_map import CLASSES, HOSTILE, NONE, SIZE, VALUES, RandomMap
from ztfrep import palette

N = 400
CENTRE = slice(15, 48)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Return a map of random rows."""
    return RandomMap(tmp_path_factory.mktemp("map"), N)


@pytest.fixture(scope="module")
def server(rows):
    """Return the address of a server of the map."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=rows.path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


@pytest.fixture
def open_map(open_page, server):
    """Return a function that opens the map and waits until its points are drawn."""

    def open_map(state="", address=server, **options):
        page = open_page(address + state, **options)
        page.evaluate("ztfrepMap.ready")
        return page

    return open_map


def at(page, row):
    return page.evaluate("row => ztfrepMap.screenPosition(row)", row)


def settle(page):
    """Wait until nothing moves on the map: its points are in the same place for some frames."""
    page.evaluate(
        """() => new Promise((resolve) => {
          let [before, still] = ["", 0];
          const look = () => {
            const now = JSON.stringify([0, 1].map((row) => ztfrepMap.screenPosition(row)));
            still = now === before ? still + 1 : 0;
            before = now;
            if (still < 12) requestAnimationFrame(look);
            else resolve();
          };
          look();
        })"""
    )


def show_projection(page, name):
    """Choose another projection, and wait until its positions are there."""
    before = page.evaluate("ztfrepMap.screenPosition(0)")
    page.select_option("#projection", name)
    page.wait_for_function(
        "before => ztfrepMap.screenPosition(0).some((at, k) => at !== before[k])", arg=before
    )


def pixels(page):
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)


def pinned(page):
    return page.evaluate("ztfrepMap.pinned()")


def selection(page):
    return page.evaluate("ztfrepMap.selection()")


def lonely_rows(rows, where, projection="umap", count=10):
    """Return rows whose points have no other near them, the loneliest first."""
    positions = rows.positions[projection]
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.where(where & (np.abs(positions).max(axis=1) < 0.9), distances.min(axis=1), 0)
    return [int(row) for row in np.argsort(-nearest)[:count]]


def colour_of(text):
    return np.array([int(text[k : k + 2], 16) for k in (1, 3, 5)])


def distance(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max()


@pytest.mark.parametrize("dark", [False, True])
def test_points_have_the_colours_of_their_classes_where_they_should_be(open_map, rows, dark):
    page = open_map(dark=dark)
    image = pixels(page)
    for row in lonely_rows(rows, rows.classes != NONE):
        x, y = at(page, row)
        drawn = image[round(y), round(x)]
        assert distance(drawn, colour_of(palette.class_colour(rows.classes[row]))) < 50
    x, y = at(page, 0)
    background = image[int(page.locator("#map").bounding_box()["y"]) + 4, 400]
    assert (background.mean() < 40) == dark


def test_map_moves_to_another_projection(open_map, rows):
    page = open_map()
    row = lonely_rows(rows, rows.classes != NONE, "pca")[0]
    before = at(page, row)
    show_projection(page, "pca")
    settle(page)
    assert page.evaluate("location.hash") == "#projection=pca&colour=class"
    assert "37 % of the variance" in page.inner_text("#projection-note")
    x, y = at(page, row)
    assert np.hypot(x - before[0], y - before[1]) > 20
    drawn = pixels(page)[round(y), round(x)]
    assert distance(drawn, colour_of(palette.class_colour(rows.classes[row]))) < 50


def test_a_number_colours_points_by_a_scale(open_map, rows):
    page = open_map("#colour=magpsf")
    known = lonely_rows(rows, ~np.isnan(rows.magnitudes), count=25)
    image = pixels(page)
    # The green of the scale grows from its dark end to its bright end.
    green, magnitudes = [], []
    for row in known:
        x, y = at(page, row)
        green.append(image[round(y), round(x), 1])
        magnitudes.append(rows.magnitudes[row])
    assert np.corrcoef(magnitudes, green)[0, 1] < -0.9
    expect(page.locator("#legend")).to_contain_text("without a value")


@pytest.mark.parametrize("from_folder", [False, True])
def test_hover_shows_the_stamps_and_the_light_curve_of_the_row(open_map, rows, from_folder):
    folder = (rows.path / "index.html").as_uri()
    page = open_map(address=folder) if from_folder else open_map()
    row = lonely_rows(rows, rows.predicted < NONE)[0]
    page.mouse.move(*at(page, row))
    card = page.locator("#hover")
    expect(card.locator("canvas[data-drawn]")).to_have_count(3)
    expect(card).to_contain_text(rows.object_ids[row])
    expect(card).to_contain_text(CLASSES[rows.predicted[row]])
    for k, channel in enumerate(["science", "template", "difference"]):
        canvas = card.locator(f"canvas[data-channel={channel}]")
        assert canvas.get_attribute("data-row") == str(row)
        left = k * SIZE
        source = rows.colours(row)[CENTRE, left + CENTRE.start : left + CENTRE.stop].astype(int)
        if from_folder:
            shown = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
            shown = np.asarray(shown.resize(source.shape[1::-1], Image.Resampling.NEAREST))
            assert np.abs(shown[2:-2, 2:-2] - source[2:-2, 2:-2]).mean() < 12
        else:
            read = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
            drawn = np.array(canvas.evaluate(read)).reshape(33, 33, 4)[:, :, :3]
            assert np.array_equal(drawn, source)
    curve = rows.details[row]["light_curve"]
    limits = sum(magnitude is None for magnitude in curve["magpsf"])
    drawing = card.locator(".light-curve > svg")
    assert drawing.locator("circle.detection").count() == len(curve["mjd"]) - limits
    assert drawing.locator("polygon.limit").count() == limits
    assert drawing.locator("circle.own").count() == 1
    # Bright is up.
    points = drawing.locator("circle.detection").evaluate_all(
        "all => all.map(c => +c.getAttribute('cy'))"
    )
    magnitudes = [magnitude for magnitude in curve["magpsf"] if magnitude is not None]
    assert np.corrcoef(points, magnitudes)[0, 1] > 0.999
    page.mouse.move(5, 5)
    expect(card).to_be_hidden()


def test_hover_that_passes_by_reads_nothing(open_map, rows):
    page = open_map()
    read = []
    page.on("request", lambda request: read.append(request.url))
    a, b = lonely_rows(rows, rows.predicted < NONE)[:2]
    page.mouse.move(*at(page, a))
    page.mouse.move(*at(page, b))
    expect(page.locator("#hover canvas[data-drawn]")).to_have_count(3)
    assert any(f"details-{b}.js" in url for url in read)
    assert not any(f"details-{a}.js" in url for url in read)


@pytest.mark.parametrize("from_folder", [False, True])
def test_click_pins_a_row_with_its_neighbours_and_its_link(open_map, rows, from_folder):
    folder = (rows.path / "index.html").as_uri()
    page = open_map(address=folder) if from_folder else open_map()
    row = lonely_rows(rows, rows.predicted < NONE)[0]
    page.mouse.click(*at(page, row))
    panel = page.locator("#pinned")
    detail = rows.details[row]
    expect(panel).to_contain_text(f"candid {rows.candids[row]}")
    link = panel.locator("a")
    assert link.get_attribute("href") == detail["link"]
    assert link.get_attribute("rel") == "noreferrer noopener"
    assert link.get_attribute("target") == "_blank"
    assert page.evaluate("location.hash").endswith(f"row={row}")
    names = panel.locator(".bars th").all_inner_texts()
    order = np.argsort(detail["probabilities"])[::-1]
    assert names == [CLASSES[k] for k in order]
    scores = panel.locator(".group", has_text="Anomaly").locator("dd").all_inner_texts()
    assert scores == ["1.23", "0.210", "0.400"]
    buttons = panel.locator("#neighbours button")
    shown = buttons.evaluate_all("all => all.map(button => +button.dataset.row)")
    assert shown == [near for near, _ in detail["neighbours"]]
    expect(panel.locator("#neighbours canvas[data-drawn]")).to_have_count(30)
    expect(page.locator("#marks line.link")).to_have_count(10)
    expect(page.locator("#status")).to_contain_text(f"Pinned {rows.object_ids[row]}")
    buttons.nth(2).click()
    assert pinned(page) == shown[2]
    expect(panel).to_contain_text(f"candid {rows.candids[shown[2]]}")
    page.go_back()
    page.wait_for_function("row => ztfrepMap.pinned() === row", arg=row)
    panel.get_by_label("Close").click()
    expect(panel).to_be_hidden()
    assert pinned(page) is None


def test_whole_stamps_are_shown_on_demand(open_map):
    page = open_map("#row=5")
    page.get_by_role("button", name="Whole stamps").click()
    canvas = page.locator("#pinned section canvas[data-channel=science][data-row='5']").first
    assert canvas.get_attribute("width") == str(SIZE)
    expect(page.get_by_role("button", name="Whole stamps")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_legend_hides_and_shows_classes(open_map, rows):
    page = open_map()
    entry = page.locator("#legend button", has_text="SN")
    expect(entry).to_contain_text(str((rows.classes == 1).sum()))
    entry.click()
    shown = page.evaluate("ztfrepMap.visibleRows()")
    assert shown == np.flatnonzero(rows.classes != 1).tolist()
    hidden = lonely_rows(rows, rows.classes == 1)[0]
    page.mouse.move(*at(page, hidden))
    page.wait_for_timeout(150)
    expect(page.locator("#hover")).to_be_hidden()
    x, y = at(page, hidden)
    assert distance(pixels(page)[round(y), round(x)], [255, 255, 255]) < 3
    page.locator("#legend button", has_text="AGN").click(modifiers=["Shift"])
    assert page.evaluate("ztfrepMap.visibleRows()") == np.flatnonzero(rows.classes == 0).tolist()
    expect(page.locator("#count")).to_have_text(f"{(rows.classes == 0).sum()} of {N} alerts")
    page.click("#show-all")
    assert len(page.evaluate("ztfrepMap.visibleRows()")) == N


def test_filters_of_magnitude_and_split(open_map, rows):
    page = open_map()
    page.click("#filter-magpsf summary")
    page.locator("#filter-magpsf input[type=number]").first.fill("18.0")
    page.locator("#filter-magpsf input[type=number]").first.press("Enter")
    page.click("#filter-split summary")
    page.locator("#filter-split button", has_text="test").click()
    expected = (rows.magnitudes >= 18) & (rows.splits != 2)
    assert page.evaluate("ztfrepMap.visibleRows()") == np.flatnonzero(expected).tolist()
    expect(page.locator("#filter-magpsf .state")).to_contain_text("18.0")
    page.evaluate("ztfrepMap.select([...Array(400).keys()])")
    assert selection(page) == np.flatnonzero(expected).tolist()


def export(page):
    with page.expect_download() as download:
        page.click("#export")
    path = download.value.path()
    return (
        download.value.suggested_filename,
        path.read_text(),
        pd.read_csv(path, dtype={"candid": str}),
    )


@pytest.mark.parametrize("from_folder", [False, True])
def test_lasso_exports_the_rows_inside_it(open_map, rows, from_folder):
    folder = (rows.path / "index.html").as_uri()
    page = open_map(address=folder) if from_folder else open_map()
    page.locator("#legend button", has_text="VS").click()
    positions = np.array([at(page, row) for row in range(N)])
    x, y = np.median(positions[rows.predicted == 3], axis=0)
    square = [(x - 60, y - 60), (x + 60, y - 60), (x + 60, y + 60), (x - 60, y + 60)]
    if from_folder:
        page.click("#lasso")
    else:
        page.keyboard.down("Shift")
    page.mouse.move(*square[0])
    page.mouse.down()
    for corner in [*square[1:], square[0]]:
        page.mouse.move(*corner, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    inside = (np.abs(positions - [x, y]) < 60).all(axis=1) & (rows.classes != 2)
    expected = np.flatnonzero(inside).tolist()
    assert 10 < len(expected) < N / 2
    assert selection(page) == expected
    expect(page.locator("#selected")).to_have_text(f"{len(expected)} alerts")
    name, text, table = export(page)
    assert name == "vectors-selection.csv"
    assert table["row"].tolist() == expected
    assert table["object_id"].tolist() == [rows.object_ids[row] for row in expected]
    assert table["candid"].tolist() == [rows.candids[row] for row in expected]
    assert np.array_equal(
        table["magpsf"].astype("float32"), rows.magnitudes[expected], equal_nan=True
    )
    # A float32 of a Modified Julian Date would be wrong by minutes.
    assert np.array_equal(table["mjd"], rows.times[expected])
    classes = [None if rows.classes[r] == NONE else VALUES[rows.classes[r]] for r in expected]
    assert table["class"].astype(object).where(table["class"].notna(), None).tolist() == classes
    page.click("#clear")
    assert selection(page) == []
    name, _, table = export(page)
    assert name == "vectors-shown.csv"
    assert table["row"].tolist() == np.flatnonzero(rows.classes != 2).tolist()


def test_csv_quotes_fields_and_disarms_formulas(open_page, tmp_path):
    rows = RandomMap(tmp_path, 12)
    hostile = ['=HYPERLINK("x")', "a,b", 'say "yes"', "-1+1", "two\nlines", "@x"]
    replace_in_map(rows, VALUES, hostile)
    page = open_page(tmp_path / "index.html")
    page.evaluate("ztfrepMap.ready")
    _, text, table = export(page)
    expected = ['\'=HYPERLINK("x")', "a,b", 'say "yes"', "'-1+1", "two\nlines", "'@x"]
    shown = [None if code == NONE else expected[code] for code in rows.classes]
    assert table["class"].astype(object).where(table["class"].notna(), None).tolist() == shown
    assert text.startswith("row,object_id,candid,class,predicted_class,split,magpsf")


def replace_in_map(rows, old, new):
    path = rows.path / "data" / "map.js"
    text = path.read_text()
    assert json.dumps(old) in text
    path.write_text(text.replace(json.dumps(old), json.dumps(new)))


def test_search_finds_an_object_or_a_candid_and_says_what_is_not_there(open_map, rows):
    page = open_map()
    page.keyboard.press("/")
    page.keyboard.type(rows.object_ids[30][:-1].lower())
    expect(page.locator("#suggestions li").first).to_be_visible()
    assert page.locator("#suggestions li").all_inner_texts()
    page.fill("#search", rows.object_ids[30])
    page.keyboard.press("Enter")
    page.wait_for_function("ztfrepMap.pinned() === 30")
    expect(page.locator("#search-status")).to_contain_text("alert 1 of 2")
    page.keyboard.press("Enter")
    page.wait_for_function("ztfrepMap.pinned() === 31")
    page.fill("#search", rows.candids[77])
    page.keyboard.press("Enter")
    page.wait_for_function("ztfrepMap.pinned() === 77")
    settle(page)
    box = page.locator("#map").bounding_box()
    x, y = at(page, 77)
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert distance((x, y), middle) < 3
    page.fill("#search", "ZTF99nowhere")
    page.keyboard.press("Enter")
    expect(page.locator("#search-status")).to_have_text("ZTF99nowhere is not in this map.")
    assert page.locator("#search-status").get_attribute("role") == "status"
    assert pinned(page) == 77


def test_candid_of_a_neighbouring_number_is_not_found(open_map, rows):
    page = open_map()
    page.fill("#search", str(int(rows.candids[5]) + 1))
    page.press("#search", "Enter")
    expect(page.locator("#search-status")).to_contain_text("is not in this map")
    assert pinned(page) is None


def test_keyboard_alone_does_everything(open_map, rows):
    page = open_map()
    page.focus("#plot")
    x, y = at(page, 3)
    page.keyboard.press("ArrowRight")
    settle(page)
    assert at(page, 3) == pytest.approx([x - 60, y], abs=0.01)
    page.keyboard.press("+")
    page.keyboard.press("-")
    page.keyboard.press("0")
    settle(page)
    assert at(page, 3) == pytest.approx([x, y], abs=0.01)
    page.keyboard.press("l")
    expect(page.locator("#lasso")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#lasso")).to_have_attribute("aria-pressed", "false")
    page.evaluate("ztfrepMap.pin(10)")
    expect(page.locator("#neighbours button")).to_have_count(10)
    near = [row for row, _ in rows.details[10]["neighbours"]]
    for key, expected in [("n", near[0]), ("n", near[1]), ("p", near[0]), ("p", 10)]:
        page.keyboard.press(key)
        page.wait_for_function("row => ztfrepMap.pinned() === row", arg=expected)
    page.keyboard.press("Escape")
    assert pinned(page) is None
    page.keyboard.press("?")
    expect(page.locator("#help-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help-dialog")).to_be_hidden()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    needed = {"search", "lasso", "reset", "about", "help", "plot", "projection", "colour", "export"}
    assert needed <= reached


def test_address_restores_projection_colour_and_row(open_map, rows):
    page = open_map("#projection=pca&colour=split&row=12")
    assert page.input_value("#projection") == "pca"
    assert page.input_value("#colour") == "split"
    assert pinned(page) == 12
    expect(page.locator("#legend")).to_contain_text("validation")
    expect(page.locator("#pinned")).to_contain_text(rows.object_ids[12])


def test_address_may_have_an_id_and_nonsense(open_map, rows):
    page = open_map(f"#id={rows.candids[44]}&projection=nonsense&colour=__proto__&row=999999")
    page.wait_for_function("ztfrepMap.pinned() === 44")
    assert page.input_value("#projection") == "umap"
    assert page.input_value("#colour") == "class"


def test_phone_has_a_map_of_full_width_and_sheets(open_map, rows):
    page = open_map(width=390, height=844, has_touch=True, is_mobile=True)
    box = page.locator("#plot").bounding_box()
    assert box["width"] == 390 and box["height"] > 500
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator("#legend")).to_be_hidden()
    page.tap("#sheet")
    expect(page.locator("#legend")).to_be_visible()
    page.tap("#sheet")
    page.wait_for_timeout(100)
    row = lonely_rows(rows, rows.predicted < NONE)[0]
    page.touchscreen.tap(*at(page, row))
    expect(page.locator("#pinned")).to_contain_text(rows.object_ids[row])
    panel = page.locator("#pinned").bounding_box()
    assert panel["width"] == 390 and panel["y"] > 200


def test_a_finger_draws_a_lasso(open_map, rows):
    page = open_map(width=390, height=844, has_touch=True, is_mobile=True)
    page.tap("#lasso")
    positions = np.array([at(page, row) for row in range(N)])
    x, y = np.median(positions[rows.predicted == 3], axis=0)
    corners = [(x - 30, y - 30), (x + 30, y - 30), (x + 30, y + 30), (x - 30, y + 30)]
    session = page.context.new_cdp_session(page)
    for k, (px, py) in enumerate(corners):
        kind = "touchMove" if k else "touchStart"
        points = [{"x": px, "y": py, "id": 0}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    inside = (np.abs(positions - [x, y]) < 30).all(axis=1)
    assert 3 < inside.sum() < N / 2
    assert selection(page) == np.flatnonzero(inside).tolist()
    after = np.array([at(page, row) for row in range(N)])
    assert np.abs(after - positions).max() < 0.01
    assert pinned(page) is None


def test_phone_on_its_side_has_the_sheets_too(open_map, rows):
    page = open_map(width=740, height=360, has_touch=True, is_mobile=True)
    box = page.locator("#plot").bounding_box()
    assert box["width"] == 740 and box["height"] > 180
    expect(page.locator("#legend")).to_be_hidden()
    row = lonely_rows(rows, rows.predicted < NONE)[0]
    page.touchscreen.tap(*at(page, row))
    expect(page.locator("#pinned")).to_contain_text(rows.object_ids[row])
    panel = page.locator("#pinned").bounding_box()
    assert panel["x"] > 300 and panel["y"] + panel["height"] <= 360


def test_two_fingers_zoom(open_map):
    page = open_map(width=390, height=844, has_touch=True, is_mobile=True)
    before = [at(page, row) for row in (0, 1)]
    box = page.locator("#plot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind, spread):
        points = [{"x": x - spread, "y": y, "id": 0}, {"x": x + spread, "y": y, "id": 1}]
        fingers = [] if kind == "touchEnd" else points
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    touch("touchStart", 30)
    for spread in range(30, 91, 5):
        touch("touchMove", spread)
    touch("touchEnd", 90)
    settle(page)
    after = [at(page, row) for row in (0, 1)]
    grown = np.linalg.norm(np.subtract(*after)) / np.linalg.norm(np.subtract(*before))
    assert grown == pytest.approx(3, rel=0.1)
    assert pinned(page) is None


def test_wheel_zooms_at_the_pointer_and_drag_moves_without_a_click(open_map, rows):
    page = open_map()
    row = lonely_rows(rows, rows.predicted < NONE)[0]
    x, y = at(page, row)
    others = np.array([at(page, other) for other in range(20)])
    page.mouse.move(x, y)
    page.mouse.wheel(0, -500)
    settle(page)
    # A wheel's pixels are whole numbers.
    assert at(page, row) == pytest.approx([x, y], abs=1)
    zoomed = np.array([at(page, other) for other in range(20)])
    assert zoomed - zoomed[0] == pytest.approx(2 * (others - others[0]), abs=0.01)
    x, y = at(page, row)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 30, steps=4)
    page.mouse.up()
    assert at(page, row) == pytest.approx([x + 40, y - 30], abs=1)
    assert pinned(page) is None
    page.wait_for_timeout(50)
    page.mouse.click(*at(page, row))
    assert pinned(page) == row


def test_a_double_click_zooms_in_and_pins_what_was_clicked_first(open_map, rows):
    page = open_map()
    row = lonely_rows(rows, rows.predicted < NONE)[0]
    before = np.subtract(at(page, 0), at(page, 1))
    page.mouse.dblclick(*at(page, row))
    settle(page)
    assert pinned(page) == row
    assert np.linalg.norm(np.subtract(at(page, 0), at(page, 1))) > 1.2 * np.linalg.norm(before)


def test_the_map_cannot_be_lost(open_map):
    page = open_map()
    page.focus("#plot")
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    box = page.locator("#plot").bounding_box()
    places = np.array([at(page, row) for row in range(N)])
    assert (places[:, 0] > box["x"]).any()
    for _ in range(60):
        page.keyboard.press("-")
    spread = np.ptp([at(page, row) for row in range(N)], axis=0)
    assert spread.max() > box["height"] / 3


def test_a_hostile_class_name_is_text(open_map, rows):
    page = open_map()
    expect(page.locator("#legend")).to_contain_text(HOSTILE)
    row = int(np.flatnonzero(rows.classes == VALUES.index(HOSTILE))[0])
    page.evaluate("row => ztfrepMap.pin(row)", row)
    expect(page.locator("#pinned dl").first).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0


def test_a_catalogue_without_stamps_says_so(open_page, tmp_path):
    RandomMap(tmp_path, 60, stamps=False)
    page = open_page(tmp_path / "index.html")
    page.evaluate("ztfrepMap.ready")
    page.evaluate("ztfrepMap.pin(3)")
    expect(page.locator("#pinned")).to_contain_text("This catalogue has no stamps.")
    expect(page.locator("#neighbours button")).to_have_count(10)
    assert page.locator("canvas.stamp").count() == 0


def test_rows_may_share_files(open_page, tmp_path):
    rows = RandomMap(tmp_path, 70, detail_rows=32, stamp_rows=32)
    page = open_page(tmp_path / "index.html")
    page.evaluate("ztfrepMap.ready")
    page.evaluate("ztfrepMap.pin(41)")
    expect(page.locator("#pinned")).to_contain_text(rows.object_ids[41])
    canvas = page.locator("#pinned section canvas[data-row='41'][data-channel=difference]").first
    expect(canvas).to_have_attribute("data-drawn", "")
    source = rows.colours(41)[CENTRE, 2 * SIZE + 15 : 2 * SIZE + 48].astype(int)
    shown = Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")
    shown = np.asarray(shown.resize((33, 33), Image.Resampling.NEAREST))
    assert np.abs(shown[2:-2, 2:-2] - source[2:-2, 2:-2]).mean() < 12


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("data/map.js", "The map cannot be shown: data/map.js could not be read."),
        ("data/projection-umap.js", "The map cannot be shown"),
        ("data/ids.js", "A part of the map is missing"),
    ],
)
def test_missing_data_are_said_in_a_sentence(open_page, tmp_path, missing, sentence):
    RandomMap(tmp_path, 20, stamps=False)
    (tmp_path / missing).unlink()
    page = open_page(tmp_path / "index.html")
    expect(page.locator("#message")).to_contain_text(sentence)
    # The browser says itself that a file is missing.
    assert all("ERR_FILE_NOT_FOUND" in fault for fault in open_page.faults)
    open_page.faults.clear()


def test_missing_stamps_and_details_are_said_at_the_row(open_page, tmp_path):
    RandomMap(tmp_path, 20)
    shutil.rmtree(tmp_path / "stamps")
    (tmp_path / "data" / "details-4.js").unlink()
    page = open_page(tmp_path / "index.html")
    page.evaluate("ztfrepMap.ready")
    page.evaluate("ztfrepMap.pin(4)")
    expect(page.locator("#pinned")).to_contain_text("no stamps for this row")
    expect(page.locator("#pinned")).to_contain_text("The details of this row could not be read.")
    assert all("ERR_FILE_NOT_FOUND" in fault for fault in open_page.faults)
    open_page.faults.clear()


def test_a_browser_without_webgl_gets_a_sentence(browser, rows):
    context = browser.new_context()
    faults = []
    context.on("console", lambda message: faults.append(message.text))
    page = context.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto((rows.path / "index.html").as_uri())
    expect(page.locator("#message")).to_contain_text("no WebGL 2")
    assert faults == []
    context.close()


def test_motion_is_left_out_where_it_is_not_wanted(open_map):
    page = open_map(reduced_motion="reduce")
    show_projection(page, "pca")
    # Two frames: the points are drawn in the first.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    first = pixels(page)
    page.wait_for_timeout(900)
    assert np.array_equal(first, pixels(page))
    places = page.evaluate(
        """async () => {
          ztfrepMap.pin(0);
          const first = ztfrepMap.screenPosition(0);
          await new Promise((resolve) => setTimeout(resolve, 700));
          return [first, ztfrepMap.screenPosition(0)];
        }"""
    )
    assert places[0] == pytest.approx(places[1], abs=0.01)


def test_map_comes_back_when_the_graphics_card_dropped_it(browser, server, rows):
    context = browser.new_context()
    page = context.new_page()
    page.goto(server)
    page.evaluate("ztfrepMap.ready")
    page.evaluate(
        """() => {
          const context = document.getElementById("plot").getContext("webgl2");
          window.lost = context.getExtension("WEBGL_lose_context");
          window.lost.loseContext();
        }"""
    )
    page.wait_for_timeout(200)
    page.evaluate("window.lost.restoreContext()")
    row = lonely_rows(rows, rows.classes != NONE)[0]
    x, y = at(page, row)
    expected = colour_of(palette.class_colour(rows.classes[row]))
    for _ in range(50):
        page.wait_for_timeout(100)
        if distance(pixels(page)[round(y), round(x)], expected) < 50:
            break
    else:
        pytest.fail("the points did not come back")
    context.close()


def test_a_pinned_row_that_is_hidden_is_said_to_be(open_map, rows):
    page = open_map()
    page.locator("#legend button", has_text="AGN").click()
    row = int(np.flatnonzero(rows.classes == 0)[0])
    page.evaluate("row => ztfrepMap.pin(row)", row)
    note = page.get_by_text("The filters hide this row in the map.")
    expect(note).to_be_visible()
    page.click("#show-all")
    expect(note).to_be_hidden()

"""Pages of pictures: what they show, and untrusted text in captions."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tests.catalogues.small_catalogues import write_small_catalogue
from ztfrep.catalogues import result_pages
from ztfrep.catalogues.catalogue import objects_path, read_catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.object_curves import ObjectCurves
from ztfrep.catalogues.queries import find_queries
from ztfrep.catalogues.ranking import rank
from ztfrep.catalogues.result_pages import ranking_page, similar_page, write_page
from ztfrep.catalogues.similarity import similar
from ztfrep.catalogues.stamp_pages import light_curve_page, stamp_page
from ztfrep.errors import InputError
from ztfrep.evaluation.figures import png_bytes
from ztfrep.palette import MASKED


def texts(figure):
    return "\n".join(text.get_text() for text in figure.texts)


def test_stamps_are_side_by_side_from_the_bottom_and_masked_pixels_have_a_colour():
    previews = np.full((1, 3, 5, 5), 128, np.uint8)
    previews[0, 0, 0, 0] = 0
    previews[0, 1, 4, 2] = 255
    figure = stamp_page(previews, [["a"]], "title")
    (image,) = figure.axes[0].images
    pixels = np.asarray(image.get_array())
    assert pixels.shape == (5, 3 * 5 + 2 * 3, 3) and image.origin == "lower"
    np.testing.assert_allclose(pixels[0, 0], to_rgb(MASKED), atol=1e-6)
    np.testing.assert_allclose(pixels[4, 5 + 3 + 2], 1)
    np.testing.assert_allclose(pixels[1, 1], 1 / 255, atol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 5, 25])
def test_no_two_pictures_overlap(n):
    figure = stamp_page(np.ones((n, 3, 4, 4), np.uint8), [["a"]] * n, "title", framed=1)
    boxes = [axes.get_position() for axes in figure.axes]
    assert len(boxes) == n
    assert all(not a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(0 <= v <= 1 for box in boxes for v in (box.x0, box.x1, box.y0, box.y1))
    assert png_bytes(figure) == png_bytes(figure)


def test_untrusted_text_is_drawn_as_it_is():
    caption = ["$\\frac{$ ^_ \x1b[31m\n星" + "x" * 1000]
    figure = stamp_page(np.ones((1, 3, 4, 4), np.uint8), [caption], "$\\x$ 星")
    png_bytes(figure)
    assert (
        "\x1b" not in texts(figure) and "\\u661f" in texts(figure) and "$\\frac{$" in texts(figure)
    )


def test_light_curves_have_magnitudes_downwards_and_upper_limits_as_triangles(tmp_path):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", np.eye(2), rows=OBJECTS)
    figure = light_curve_page(catalogue.light_curves([0]), [["a"]], "title")
    (axes,) = figure.axes
    assert min(axes.get_ylim()) > 17 and max(axes.get_ylim()) < 21
    bottom, top = axes.get_ylim()
    assert bottom > top
    drawn = {
        (line.get_marker(), x, y) for line in axes.lines for x, y in line.get_xydata().tolist()
    }
    assert {("v", 0.0, 20.5), ("o", 1.0, 19.0), ("o", 3.0, 18.0)} <= drawn
    png_bytes(figure)


def test_the_page_of_a_result_has_the_query_first(tmp_path):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", np.eye(6), preview_size=4)
    with find_queries(catalogue, "ZTF20aaaaaaa", model="none") as queries:
        result = similar(catalogue, queries.vectors, 2, excluded=queries.excluded)
        figure = similar_page(queries, catalogue, result)
    query, *rest = [text.get_text() for text in figure.texts if "ZTF20" in text.get_text()][1:]
    assert query.startswith("query\nZTF20aaaaaaa\ncandid 1234567890123456790\nSN 0.50")
    assert rest[0].startswith("1. ZTF20aaaaaaa") and "distance 1.0000" in rest[0]
    write_page(tmp_path / "page.png", figure)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_of_a_ranking_has_the_terms_of_each_row(tmp_path):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", np.eye(6), preview_size=4)
    ranking = rank(catalogue, top=2).assign(neighbour_distance_percentile=[99.0, 12.0])
    shown = texts(ranking_page(catalogue, ranking, "night"))
    assert "neighbours 2.5 (99 %)" in shown and "reconstruction 2.5\n" in shown
    assert "anomaly score 5.0000" in shown


def test_objects_are_shown_by_their_light_curves(tmp_path):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", np.eye(3), rows=OBJECTS)
    figure = ranking_page(catalogue, rank(catalogue), "night")
    assert "1 alert\n" in texts(figure) and len(figure.axes) == 3


def marked_days(figure):
    """Return the days of the rings in each light curve of a page, by the object's start."""
    axes = [axes for axes in figure.axes if axes.axison]
    return [
        line.get_xdata().tolist() for a in axes for line in a.lines if line.get_markersize() == 7
    ]


def test_alerts_have_the_light_curves_of_their_objects_if_there_are_any(tmp_path):
    # Alerts 0 and 1 are of the first object, and 2 and 3 of the second.
    path = tmp_path / "v.parquet"
    alerts = write_small_catalogue(path, np.eye(6), preview_size=4, mjd=[2.0, 4.0, 9, 3, 1, 1])
    without = ranking_page(alerts, rank(alerts, top=4, ascending=True), "night")
    assert len(without.axes) == 4 and not without.legends
    write_small_catalogue(objects_path(path), np.eye(2), rows=OBJECTS)
    figure = ranking_page(alerts, rank(alerts, top=5, by="mjd", ascending=True), "night")
    # By mjd: two alerts of the third object, then 0, 3 and 1.
    assert len(figure.axes) == 10 and [axes.axison for axes in figure.axes[1::2]] == [
        False, False, True, True, True,
    ]  # fmt: skip
    assert marked_days(figure) == [[1.0], [2.0], [3.0]]
    png_bytes(figure)
    # With the labels of their axes.
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.lines or axes.images]
    captions = [t.get_window_extent() for t in figure.texts if "ZTF" in t.get_text()]
    boxes += [*captions, figure.legends[0].get_window_extent()]
    assert len(boxes) == 5 + 3 + 5 + 1
    assert all(not a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert png_bytes(figure) == png_bytes(figure)


def test_in_a_folder_the_last_light_curve_of_an_object_is_drawn(tmp_path):
    objects = [["ZTF20aaaaaaa"], ["ZTF20zzzzzzz", "ZTF20aaaaaaa"], ["ZTF20zzzzzzz"]]
    for number, ids in enumerate(objects):
        path = tmp_path / f"{number}-night.parquet"
        write_small_catalogue(path, np.eye(2), preview_size=4)
        write_small_catalogue(objects_path(path), np.eye(len(ids)), rows=OBJECTS, object_id=ids)
    catalogue = read_catalogue(tmp_path)
    curves = ObjectCurves(catalogue)
    first, last = curves.of_rows([5, 0])
    # The second detection of a light curve is a day later in the second row of a file.
    assert first["mjd"].tolist() == [1.0, 1.5, 3.0, 4.0]
    assert last.equals(first)
    assert curves.of_rows([]) == []


def test_without_a_broken_catalogue_of_objects_alerts_have_no_light_curve(tmp_path, caplog):
    path = tmp_path / "v.parquet"
    alerts = write_small_catalogue(path, np.eye(2), preview_size=4)
    objects_path(path).write_bytes(b"PAR1 broken")
    figure = ranking_page(alerts, rank(alerts), "night")
    assert len(figure.axes) == 2 and not figure.legends
    assert "v.objects.parquet" in caplog.text and len(caplog.messages) == 1


def test_a_catalogue_without_previews_has_a_remedy(tmp_path):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", np.eye(3))
    with pytest.raises(InputError, match="ztfrep encode without --no-previews"):
        ranking_page(catalogue, rank(catalogue), "night")


def test_several_queries_and_many_rows_are_refused(tmp_path, monkeypatch):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", np.eye(6), preview_size=4)
    with find_queries(catalogue, "ZTF20aaaaaaa", model="none") as queries:
        several = type(queries)(catalogue, np.array([0, 1]), queries.excluded * 2)
        with pytest.raises(InputError, match="found 2 queries; expected one"):
            similar_page(several, catalogue, similar(catalogue, several.vectors, 2))
    monkeypatch.setattr(result_pages, "MAX_PICTURES", 5)
    with pytest.raises(InputError, match="found 6 rows; expected at most 5"):
        ranking_page(catalogue, rank(catalogue), "night")

"""Colours that readers can distinguish and read, whatever their eyes and the background."""

import ast
import re
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb

from ztfrep import palette

ROOT = Path(__file__).parents[1]
# Machado, Oliveira and Fernandes (2009), table 1, at full severity, for linear RGB.
VISION = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def to_lab(colour, vision):
    """Return the CIELAB coordinates of a colour as it appears to eyes of a kind."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def ciede2000(first, second):
    """Return the difference of two colours of CIELAB; Sharma, Wu and Dalal (2005)."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(c7 / (c7 + 25.0**7))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    hue = (h1 + turn / 2) % 360 if c1 * c2 else h1 + h2
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    rotation *= np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    return np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh)


def smallest_difference(colours, vision):
    labs = [to_lab(colour, vision) for colour in colours]
    return min(ciede2000(a, b) for a, b in combinations(labs, 2))


# Pairs of the paper's table 1: they differ in the terms of hue and of blue.
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_difference_of_colours_is_that_of_its_paper(first, second, expected):
    assert ciede2000(first, second) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("vision", "floor"),
    [("usual", 20), ("protanopia", 12), ("deuteranopia", 12), ("tritanopia", 12)],
)
def test_the_colours_of_classes_and_the_grey_can_be_distinguished(vision, floor):
    assert smallest_difference([*palette.COLOURS, palette.UNLABELLED], vision) >= floor


def test_a_faint_or_confusable_palette_would_be_noticed():
    okabe_ito = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442"]
    assert smallest_difference([*okabe_ito, "#9a9a9a"], "deuteranopia") < 7
    assert palette.contrast("#F0E442", palette.LIGHT) < 1.4


@pytest.mark.parametrize("background", [palette.LIGHT, palette.DARK])
def test_colours_are_legible_on_light_and_on_dark(background):
    for colour in [*palette.COLOURS, palette.UNLABELLED]:
        assert palette.contrast(colour, background) >= 3, colour
    for colour in palette.NUMBERS:
        assert palette.contrast(colour, background) >= 1.65, colour
    assert palette.contrast(palette.LIGHT, "#000000") == pytest.approx(21)
    assert palette.contrast(palette.INK, palette.LIGHT) >= 7


@pytest.mark.parametrize(
    ("scale", "name", "ends"),
    [
        (palette.NUMBERS, "viridis", (0.15, 0.85)),
        (palette.SHARES, "Blues", (0, 1)),
        (palette.DIFFERENCES, "RdBu_r", (0, 1)),
    ],
)
def test_scales_are_those_of_matplotlib(scale, name, ends):
    known = matplotlib.colormaps[name]
    expected = [to_rgb(to_hex(known(x))) for x in np.linspace(*ends, len(scale))]
    np.testing.assert_allclose([to_rgb(colour) for colour in scale], expected, atol=2.5 / 255)
    interpolated = LinearSegmentedColormap.from_list("", scale)
    for share in np.linspace(0, 1, 33):
        np.testing.assert_allclose(
            to_rgb(palette.shade(scale, share)), interpolated(share)[:3], atol=4.5 / 255
        )  # matplotlib's has 256 colours.


def test_a_scale_of_numbers_becomes_lighter_to_every_eye():
    for vision in VISION:
        lightness = [to_lab(colour, vision)[0] for colour in palette.NUMBERS]
        assert np.all(np.diff(lightness) > 2), vision


def test_the_ends_of_a_scale_and_unknown_numbers():
    assert palette.shade(palette.SHARES, -3) == palette.SHARES[0]
    assert palette.shade(palette.SHARES, 7) == palette.SHARES[-1]
    assert palette.shade(palette.SHARES, float("nan")) == palette.UNLABELLED


def test_text_on_a_shade_can_be_read():
    for scale in (palette.SHARES, palette.DIFFERENCES):
        for share in np.linspace(0, 1, 50):
            colour = palette.shade(scale, share)
            assert palette.contrast(palette.text_colour(colour), colour) >= 3.4


def test_more_classes_than_colours_differ_by_marker():
    drawn = [(palette.class_colour(i), palette.class_marker(i)) for i in range(49)]
    assert len(set(drawn)) == 49
    assert {marker for _, marker in drawn[:7]} == {palette.class_marker(-1)}
    assert palette.class_colour(-1) == palette.UNLABELLED


def is_grey(colour):
    """Return True for greys, and for those with a tint, which pages have as backgrounds."""
    if not colour.startswith("#"):
        return False
    digits = colour[1:7] if len(colour) >= 7 else "".join(2 * digit for digit in colour[1:4])
    channels = [int(digits[start : start + 2], 16) for start in (0, 2, 4)]
    return max(channels) - min(channels) <= 40


def written_colours(path):
    """Return the colours in a file; of Python, those in strings."""
    text = path.read_text(errors="replace")
    if path.suffix == ".py":
        nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)]
        text = "\n".join(node.value for node in nodes if isinstance(node.value, str))
    # matplotlib's own palette too.
    return re.findall(r"#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b|tab:\w+", text)


def test_colours_are_written_in_the_palette_alone():
    """Elsewhere there are greys, and in pages, which import nothing, the palette's own colours."""
    values = (v for v in vars(palette).values() if isinstance(v, str | tuple))
    own = {c.lower() for v in values for c in ([v] if isinstance(v, str) else v)}
    folders = [ROOT / name for name in ("ztfrep", "stages", "benchmarks")]
    for path in (p for folder in folders for p in sorted(folder.rglob("*"))):
        # Bundles of packages have colours of their own.
        if path.suffix not in (".py", ".js", ".mjs", ".ts", ".css", ".html"):
            continue
        if path == Path(palette.__file__) or {"dist", "node_modules"} & set(path.parts):
            continue
        colours = {colour for colour in written_colours(path) if not is_grey(colour)}
        allowed = set() if path.suffix == ".py" else own
        assert {colour.lower() for colour in colours} <= allowed, path

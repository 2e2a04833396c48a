"""Colours that colour-blind readers can distinguish: of figures, plots, the report and the map.

The first six are those of Okabe and Ito (2008), "Color universal design", moved as little as it
takes for a contrast of 3 both with white and with the dark background, which WCAG 2.2 asks of
graphics (1.4.11), and for a distance of at least 12 (CIEDE2000) between any two of them and the
grey of unlabelled rows, in each dichromacy as Machado et al. (2009) simulate it. Theirs have 1.3
and 6: yellow is faint on white, and to deuteranopes purple is grey. `tests/test_palette.py` has
both measures.
"""

# Of pages, and of figures, which are light.
LIGHT, DARK = "#ffffff", "#16181d"
# Text and error bars on the light background.
INK = "#333333"
COLOURS = ("#3363b5", "#a94702", "#278b60", "#c08b07", "#a076a4", "#399ae3", "#fb286b")
# Of rows without a label, and of lines of secondary importance.
UNLABELLED = "#949494"
# Of pixels that were not observed.
MASKED = COLOURS[3]
# Names and colours of ZTF's filters by fid.
FILTERS = {1: ("g", COLOURS[2]), 2: ("r", COLOURS[1]), 3: ("i", COLOURS[4])}
# matplotlib's markers of classes: one shape for the first seven, whose colours differ, and another
# for each seven after them.
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")

# Scales, as colours at equal distances from the lowest value to the highest. Numbers: viridis from
# 15 % to 85 %, without the ends that a light or dark background hides.
NUMBERS = ("#463480", "#3d4e8a", "#31668e", "#297b8e", "#21918c", "#21a585", "#38b977", "#65cb5e",
           "#9bd93c")  # fmt: skip
# Shares from 0 to 1, of cells: Blues of ColorBrewer.
SHARES = ("#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c",
          "#08306b")  # fmt: skip
# Negative and positive differences, white at zero: RdBu of ColorBrewer, from blue to red.
DIFFERENCES = ("#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7",
               "#f4a582", "#d6604d", "#b2182b", "#67001f")  # fmt: skip


def class_colour(index: int) -> str:
    """Return the colour of the class with an index, -1 for unlabelled; colours repeat after seven.

    It does not depend on the other classes.
    """
    return UNLABELLED if index < 0 else COLOURS[index % len(COLOURS)]


def class_marker(index: int) -> str:
    """Return matplotlib's marker of the class with an index: another where its colour repeats."""
    return _MARKERS[max(index, 0) // len(COLOURS) % len(_MARKERS)]


def shade(scale: tuple[str, ...], share: float) -> str:
    """Return the colour of a scale at a share of it; below 0 and above 1 are its ends.

    Not-a-number is the grey of `UNLABELLED`.
    """
    if share != share:
        return UNLABELLED
    position = min(max(share, 0.0), 1.0) * (len(scale) - 1)
    start = min(int(position), len(scale) - 2)
    weight = position - start
    pairs = zip(_channels(scale[start]), _channels(scale[start + 1]), strict=True)
    return "#" + "".join(f"{round(255 * (a + weight * (b - a))):02x}" for a, b in pairs)


def text_colour(background: str) -> str:
    """Return the colour of text on a background: `LIGHT` or `INK`, whichever has more contrast."""
    return max(LIGHT, INK, key=lambda colour: contrast(colour, background))


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2.2 defines it."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> list[float]:
    """Return red, green and blue from 0 to 1 of a colour such as "#3363b5"."""
    return [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]

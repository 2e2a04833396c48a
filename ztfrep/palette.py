"""Colours that colour-blind readers can distinguish: of figures, plots, the report and the map.

They are the seven besides black of Okabe and Ito (2008), "Color universal design", legible on white
and on dark grey; the last, yellow, is faint on white.
"""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442")
# Of rows without a label, of pixels that were not observed, and of lines of secondary importance.
UNLABELLED = "#9a9a9a"
MASKED = COLOURS[3]
# Names and colours of ZTF's filters by fid.
FILTERS = {1: ("g", COLOURS[2]), 2: ("r", COLOURS[1]), 3: ("i", COLOURS[4])}


def class_colour(index: int) -> str:
    """Return the colour of the class with an index, -1 for unlabelled; colours repeat after seven.

    It does not depend on the other classes.
    """
    return UNLABELLED if index < 0 else COLOURS[index % len(COLOURS)]

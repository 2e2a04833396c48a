"""What goes into a recurrent network of objects, and what comes out."""

from typing import NamedTuple

from torch import Tensor

# Of an epoch: magnitude, its error, limiting magnitude; which of the three are known; the filter.
PHOTOMETRY = 9
MAGNITUDE, MAGNITUDE_KNOWN = 0, 3
# Of an epoch: log(1 + days) since the one before and since the first; whether they are known.
TIMES = 3


class SeriesInput(NamedTuple):
    """n objects, each with its epochs in time order, zeros behind the last.

    `vectors` float32 `(n, steps, d)` of the alerts, and `seen` bool `(n, steps)`, whether an epoch
    has one; `times` float32 `(n, steps, 3)`; `photometry` float32 `(n, steps, 9)`, 0 where unknown;
    `lengths` int64 `(n,)`, 1 or more.
    """

    vectors: Tensor
    seen: Tensor
    times: Tensor
    photometry: Tensor
    lengths: Tensor


class ObjectOutput(NamedTuple):
    """What a recurrent network makes of objects.

    `vectors` `(n, hidden)` and `logits` `(n, classes)` after the last epoch. A network that judges
    after every epoch gives `steps`, logits `(n, steps, classes)`; one that foretells gives `next`,
    the vector and the magnitude of the epoch after each, `(n, steps, d + 1)`.
    """

    vectors: Tensor
    logits: Tensor
    steps: Tensor | None = None
    next: Tensor | None = None

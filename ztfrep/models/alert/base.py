"""What goes into an autoencoder of alerts, and what comes out."""

from typing import NamedTuple

from torch import Tensor

# Of `stamps.crop_and_context`: three channels near and wide, and how much was observed.
NEAR, WIDE, SHARES = slice(0, 3), slice(3, 6), slice(6, 8)


class AlertInput(NamedTuple):
    """n alerts as a network takes them; whatever is missing is 0, and masked.

    `pixels` float32 `(n, 3, 21, 21)` are the stamps about the alert, channels science, template,
    difference, as they are to be reconstructed, and `observed` bool the same shape. `views` float32
    `(n, 8, 21, 21)` are those of `stamps.crop_and_context`. `features` float32 `(n, 26)` are
    standardised metadata, and `known` bool the same shape.
    """

    pixels: Tensor
    observed: Tensor
    views: Tensor
    features: Tensor
    known: Tensor


class AlertOutput(NamedTuple):
    """What an autoencoder makes of alerts.

    `vectors` `(n, d)`, `reconstruction` `(n, 3, 21, 21)` as the stamps lay, `features` `(n, 26)` or
    None from a network that knows no metadata, `shapes` `(n, 327)` as told from the vector, or
    None, `logits` `(n, classes)`.
    """

    vectors: Tensor
    reconstruction: Tensor
    features: Tensor | None
    shapes: Tensor | None
    logits: Tensor

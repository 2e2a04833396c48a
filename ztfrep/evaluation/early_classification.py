"""Early classification: the classes of objects after their first detections."""

import numpy as np
import torch

from ztfrep.models.object.base import ObjectInput, ObjectNetwork

# Detections after which objects are classified, as far as any object has them.
DETECTIONS = (1, 2, 3, 4, 5, 7, 10, 15, 20)
_OBJECTS_PER_BATCH = 512


def classify_early(network: ObjectNetwork, objects: ObjectInput) -> dict[int, np.ndarray]:
    """Return the predicted class int `(n,)` after each number of detections that have a vector.

    An object with fewer is classified by all of its observations.
    """
    detections = objects.vector_mask.cumsum(dim=1)
    maximum = int(detections.max())
    predicted = {}
    for count in [n for n in DETECTIONS if n <= maximum]:
        reached = detections >= count
        lengths = torch.where(
            reached.any(dim=1), reached.to(torch.int8).argmax(dim=1) + 1, objects.lengths
        )
        early = objects._replace(lengths=lengths)
        classes = []
        with torch.inference_mode():
            for rows in torch.arange(len(lengths)).split(_OBJECTS_PER_BATCH):
                logits = network.classify(network.encode(early.rows(rows)))
                classes.append(logits.argmax(dim=1).numpy())
        predicted[count] = np.concatenate(classes)
    return predicted

"""Early classification: predicted classes of objects after their first detections."""

import numpy as np
import torch

from ztfrep.encoders.object_batches import batches_of_objects
from ztfrep.models.object.base import ObjectInput, ObjectNetwork

# Numbers of detections after which objects are classified, up to the maximum of all objects.
DETECTIONS = (1, 2, 3, 4, 5, 7, 10, 15, 20)


def classify_early(network: ObjectNetwork, objects: ObjectInput) -> dict[int, np.ndarray]:
    """Return predicted classes int `(n,)` by the number of detections that have a vector.

    An object with fewer detections is classified by all of its observations.
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
            for _, batch in batches_of_objects(early):
                logits = network.classify(network.encode(batch))
                classes.append(logits.argmax(dim=1).numpy())
        predicted[count] = np.concatenate(classes)
    return predicted

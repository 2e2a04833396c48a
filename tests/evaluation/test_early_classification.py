import numpy as np
import torch

from tests.evaluation.small_networks import object_network
from tests.evaluation.small_objects import objects, observations
from ztfrep.evaluation.early_classification import classify_early

LENGTHS = [1, 2, 6, 3, 6, 4, 6, 5, 6, 2, 6, 6]


def network_of_varied_classes(architecture="temporal"):
    """A network whose classes are the largest numbers of the vectors, which differ by step."""
    network = object_network(architecture)
    network.classify = lambda vectors: vectors
    return network


def test_objects_are_classified_as_if_they_had_their_first_detections_only():
    network = network_of_varied_classes()
    whole = observations(LENGTHS)
    predicted = classify_early(network, objects(LENGTHS, whole))
    assert list(predicted) == [1, 2, 3, 4, 5]
    assert any((predicted[1] != predicted[count]).any() for count in (2, 3))
    for count, classes in predicted.items():
        first = whole[whole["detection"] < 2 * count]
        with torch.inference_mode():
            logits = network.classify(network.encode(objects(LENGTHS, first)))
        np.testing.assert_array_equal(classes, logits.argmax(dim=1).numpy())


def test_a_network_of_detections_only_is_classified_early_too():
    network = network_of_varied_classes("published")
    inputs = objects(LENGTHS, all_observations=False)
    predicted = classify_early(network, inputs)
    with torch.inference_mode():
        one = network.classify(network.encode(inputs._replace(lengths=0 * inputs.lengths + 1)))
    np.testing.assert_array_equal(predicted[1], one.argmax(dim=1).numpy())

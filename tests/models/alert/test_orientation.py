"""The eight orientations of a square image."""

import pytest
import torch

from ztfrep.models.alert.orientation import N_ORIENTATIONS, orient, orient_back, reorient


def images(n=16):
    return torch.randn(n, 3, 5, 5, generator=torch.Generator().manual_seed(0))


def test_the_eight_orientations_are_all_different():
    reoriented = torch.stack([reorient(images(1)[0], index) for index in range(N_ORIENTATIONS)])
    assert len(reoriented.flatten(1).unique(dim=0)) == 8


def test_orientation_0_changes_nothing():
    assert torch.equal(reorient(images(), 0), images())


def test_each_image_gets_its_own_orientation_and_the_inverse_restores_it():
    orientations = torch.arange(16) % N_ORIENTATIONS
    applied = orient(images(), orientations)
    for image, index, before in zip(applied, orientations.tolist(), images(), strict=True):
        assert torch.equal(image, reorient(before, index))
    assert torch.equal(orient_back(applied, orientations), images())


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_the_gradient_is_reoriented_as_the_pixels_are(orientation):
    pixels, orientation = images(1).requires_grad_(), torch.tensor([orientation])
    weight = torch.randn(1, 3, 5, 5)
    (orient(pixels, orientation) * weight).sum().backward()
    assert torch.equal(orient(pixels.grad, orientation), weight)

"""The eight orientations of a square image."""

import pytest
import torch

from ztfrep.models.alert.orientation import N_ORIENTATIONS, Orientations, reorient

SIDE = 5
orientations = Orientations(SIDE)


def images(n=16):
    return torch.randn(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def test_the_eight_orientations_are_all_different():
    reoriented = torch.stack([reorient(images(1)[0], index) for index in range(N_ORIENTATIONS)])
    assert len(reoriented.flatten(1).unique(dim=0)) == 8


def test_orientation_0_changes_nothing():
    assert torch.equal(reorient(images(), 0), images())


@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last])
def test_each_image_gets_its_own_orientation_and_the_inverse_restores_it(format):
    index = torch.arange(16) % N_ORIENTATIONS
    applied = orientations.apply_to(images().contiguous(memory_format=format), index)
    assert applied.is_contiguous(memory_format=torch.channels_last)
    for image, k, before in zip(applied, index.tolist(), images(), strict=True):
        assert torch.equal(image, reorient(before, k))
    assert torch.equal(orientations.revert(applied, index), images())


def test_masks_and_a_channel_alone_are_reoriented_as_images_are():
    index = torch.arange(16) % N_ORIENTATIONS
    expected = orientations.apply_to(images(), index)
    assert torch.equal(orientations.apply_to(images() > 0, index), expected > 0)
    assert torch.equal(orientations.apply_to(images()[:, :1], index), expected[:, :1])


def test_the_opposite_orientation_is_a_rotation_by_180_degrees():
    for k in range(N_ORIENTATIONS):
        opposite = reorient(images(), k).flip((-2, -1))
        others = [j for j in range(N_ORIENTATIONS) if torch.equal(reorient(images(), j), opposite)]
        assert len(others) == 1
        assert others[0] // 4 == k // 4


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_the_gradient_is_reoriented_as_the_pixels_are(orientation):
    pixels, orientation = images(1).requires_grad_(), torch.tensor([orientation])
    weight = torch.randn(1, 3, SIDE, SIDE)
    (orientations.apply_to(pixels, orientation) * weight).sum().backward()
    assert torch.equal(orientations.apply_to(pixels.grad, orientation), weight)


def test_the_tables_of_pixels_are_not_saved_with_the_weights():
    assert orientations.state_dict() == {}

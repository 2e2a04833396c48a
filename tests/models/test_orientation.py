import pytest
import torch

from ztfrep.models.alert.orientation import POSES, laid, laid_back, turned


def images(n=16):
    return torch.randn(n, 3, 5, 5, generator=torch.Generator().manual_seed(0))


def test_the_eight_poses_are_all_different():
    found = torch.stack([turned(images(1)[0], pose) for pose in range(POSES)])
    assert len(found.flatten(1).unique(dim=0)) == 8
    assert torch.equal(turned(images(), 0), images())


def test_each_image_is_laid_in_its_own_pose_and_back():
    poses = torch.arange(16) % POSES
    moved = laid(images(), poses)
    for image, pose, before in zip(moved, poses.tolist(), images(), strict=True):
        assert torch.equal(image, turned(before, pose))
    assert torch.equal(laid_back(moved, poses), images())


@pytest.mark.parametrize("pose", range(POSES))
def test_a_gradient_reaches_the_pixel_that_it_came_from(pose):
    given = images(1).requires_grad_()
    weight = torch.randn(1, 3, 5, 5)
    (laid(given, torch.tensor([pose])) * weight).sum().backward()
    assert torch.equal(laid(given.grad, torch.tensor([pose])), weight)

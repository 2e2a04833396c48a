"""Random variation of training alerts."""

import pytest
import torch

from tests.models.networks import random_alerts, without_features, without_stamps
from ztfrep.models.alert.base import Augmentation
from ztfrep.training.augmentation import augment


def vary(alerts, seed=0, **augmentation):
    torch.manual_seed(seed)
    return augment(alerts, Augmentation(**augmentation))


def test_without_augmentation_nothing_changes():
    for varied, original in zip(vary(random_alerts(50)), random_alerts(50), strict=True):
        assert torch.equal(varied, original)


@pytest.mark.parametrize("change", [{"shift": 2}, {"rotation": 9.0}, {"noise": 0.1}], ids=repr)
def test_varied_alerts_have_the_types_of_the_original_which_is_not_changed(change):
    alerts = random_alerts(6)
    varied = vary(alerts, drop_stamps=0.2, drop_context=0.2, drop_features=0.2, **change)
    for part, original, expected in zip(varied, alerts, random_alerts(6), strict=True):
        assert (part.dtype, part.shape) == (expected.dtype, expected.shape)
        assert torch.equal(original, expected)


def test_all_stamps_of_a_batch_are_shifted_by_the_same_number_of_pixels():
    alerts = random_alerts(3)
    shifts = set()
    for seed in range(40):
        varied = vary(alerts, seed, shift=1)
        (match,) = [
            (y, x)
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
            if torch.equal(
                varied.pixels[:, :, 1:-1, 1:-1],
                alerts.pixels.roll((y, x), (2, 3))[:, :, 1:-1, 1:-1],
            )
        ]
        expected = alerts.crop_and_context.roll(match, (2, 3))[:, :3, 1:-1, 1:-1]
        assert torch.equal(varied.crop_and_context[:, :3, 1:-1, 1:-1], expected)
        shifts.add(match)
    # Each of the nine shifts is drawn.
    assert len(shifts) == 9


def test_fractions_of_the_alerts_lose_a_modality_and_no_alert_loses_all():
    n = 4000
    alerts = random_alerts(n)
    varied = vary(alerts, drop_stamps=0.2, drop_context=0.3, drop_features=0.5)
    no_stamps = ~varied.pixel_mask.flatten(1).any(dim=1)
    no_features = ~varied.feature_mask.any(dim=1)
    assert no_stamps.float().mean() == pytest.approx(0.2, abs=0.03)
    assert no_features.float().mean() == pytest.approx(0.5, abs=0.03)
    assert not (no_stamps & no_features).any()
    assert (varied.crop_and_context[no_stamps] == 0).all()
    no_context = (varied.crop_and_context[:, 7] == 0).all(dim=(1, 2)) & ~no_stamps
    assert no_context.sum() / (~no_stamps).sum() == pytest.approx(0.3, abs=0.03)
    varied, original = varied.crop_and_context[no_context], alerts.crop_and_context[no_context]
    assert (varied[:, 3:6] == 0).all()
    # The crop and its observed fraction are not changed.
    assert torch.equal(varied[:, [0, 1, 2, 6]], original[:, [0, 1, 2, 6]])


def test_the_only_modality_of_an_alert_is_never_dropped():
    drop = {"drop_stamps": 0.9, "drop_features": 0.9}
    only_stamps, only_metadata = (
        without_features(random_alerts(50)),
        without_stamps(random_alerts(50)),
    )
    assert vary(only_stamps, **drop).pixel_mask.any(dim=(1, 2, 3)).all()
    assert vary(only_metadata, **drop).feature_mask.any(dim=1).all()
    both = vary(random_alerts(50), **drop)
    assert (both.feature_mask.any(dim=1) | both.pixel_mask.flatten(1).any(dim=1)).all()


def test_noise_is_added_to_crop_and_context_where_they_were_observed():
    alerts = random_alerts(20)
    alerts.crop_and_context[:, :, :4] = 0
    varied = vary(alerts, noise=0.1)
    assert torch.equal(varied.pixels, alerts.pixels)
    assert (varied.crop_and_context[:, :6, :4] == 0).all()
    added = (varied.crop_and_context - alerts.crop_and_context)[:, :6, 4:]
    assert added.std() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(varied.crop_and_context[:, 6:], alerts.crop_and_context[:, 6:])


def test_shifted_stamps_have_their_pixels_and_those_from_outside_are_masked():
    alerts = random_alerts(4)
    alerts.crop_and_context[:, 7] = torch.rand(4, 21, 21)
    sides = set()
    for seed in range(30):
        varied = vary(alerts, seed, shift=2)
        inside = varied.pixel_mask[0, 0]
        observed = inside.nonzero()
        sides |= set((observed.amax(dim=0) - observed.amin(dim=0) + 1).tolist())
        # All pixels are those of the original.
        assert torch.isin(varied.pixels[0, 0][inside], alerts.pixels[0, 0]).all()
        assert (varied.pixels[:, :, ~inside] == 0).all()
        assert (varied.crop_and_context[:, :3, ~inside] == 0).all()
        assert (varied.crop_and_context[:, 6, ~inside] == 0).all()
        assert torch.equal(varied.crop_and_context[:, 3:6], alerts.crop_and_context[:, 3:6])
        assert torch.equal(varied.crop_and_context[:, 7], alerts.crop_and_context[:, 7])
    assert sides == {19, 20, 21}


def test_each_alert_is_varied_independently_of_the_others():
    varied = vary(random_alerts(64), drop_features=0.5)
    assert len(varied.rows(slice(8)).feature_mask.any(dim=1).unique()) == 2


def test_a_rotated_alert_has_the_same_centre_and_pixels_from_outside_are_masked():
    n, axis = 40, torch.arange(21.0) - 10
    blob = torch.exp(-(axis[:, None] ** 2 + (axis / 3) ** 2) / 4).expand(n, 3, 21, 21)
    varied = vary(random_alerts(n)._replace(pixels=blob.clone()), rotation=30.0)
    torch.testing.assert_close(varied.pixels[:, :, 10, 10], blob[:, :, 10, 10])
    # Each alert has its own angle, in either direction, of at most 30 degrees.
    mixed = (varied.pixels[:, 0] * axis[:, None] * axis).sum(dim=(1, 2))
    along = (varied.pixels[:, 0] * (axis**2 - axis[:, None] ** 2)).sum(dim=(1, 2))
    angles = torch.rad2deg(0.5 * torch.atan2(2 * mixed, along))
    assert angles.abs().max() < 31
    assert angles.min() < -15
    assert angles.max() > 15
    assert not varied.pixel_mask[angles.abs() > 10][:, :, 0, 0].any()
    assert varied.pixel_mask[:, :, 5:16, 5:16].all()
    assert (varied.pixels[~varied.pixel_mask] == 0).all()

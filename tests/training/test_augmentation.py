import pytest
import torch

from tests.models.test_autoencoder import alerts, rows, without_features, without_stamps
from ztfrep.training.augmentation import augmented

NOTHING = {"without_stamps": 0.0, "without_wide": 0.0, "without_features": 0.0}


def vary(given, **options):
    torch.manual_seed(0)
    return augmented(given, **NOTHING | {"noise": 0.0, "shift": 0} | options)


def test_nothing_asked_is_nothing_done():
    for found, given in zip(vary(alerts(50)), alerts(50), strict=True):
        assert torch.equal(found, given)


def test_shares_of_the_alerts_lose_a_part_and_none_loses_all():
    n = 4000
    found = vary(alerts(n), without_stamps=0.2, without_wide=0.3, without_features=0.5)
    blind = ~found.observed.flatten(1).any(dim=1)
    unmeasured = ~found.known.any(dim=1)
    assert blind.float().mean() == pytest.approx(0.2, abs=0.03)
    assert unmeasured.float().mean() == pytest.approx(0.5, abs=0.03)
    assert not (blind & unmeasured).any()
    assert (found.views[blind] == 0).all()
    narrow = (found.views[:, 7] == 0).all(dim=(1, 2)) & ~blind
    assert narrow.sum() / (~blind).sum() == pytest.approx(0.3, abs=0.03)
    assert (found.views[narrow][:, 3:6] == 0).all()
    assert torch.equal(found.views[narrow][:, :3], alerts(n).views[narrow][:, :3])


def test_a_part_that_stands_alone_stays():
    shares = {"without_stamps": 0.9, "without_features": 0.9}
    only_stamps, only_metadata = without_features(alerts(50)), without_stamps(alerts(50))
    assert vary(only_stamps, **shares).observed.any(dim=(1, 2, 3)).all()
    assert vary(only_metadata, **shares).known.any(dim=1).all()
    both = vary(alerts(50), **shares)
    assert (both.known.any(dim=1) | both.observed.flatten(1).any(dim=1)).all()


def test_noise_is_in_the_views_alone_and_not_where_nothing_was_seen():
    given = alerts(20)
    given.views[:, :, :4] = 0
    found = vary(given, noise=0.1)
    assert torch.equal(found.pixels, given.pixels)
    assert (found.views[:, :6, :4] == 0).all()
    added = (found.views - given.views)[:, :6, 4:]
    assert added.std() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(found.views[:, 6:], given.views[:, 6:])


def test_an_alert_moves_aside_whole_and_what_comes_in_is_not_observed():
    given = alerts(4)
    moved = set()
    for seed in range(30):
        torch.manual_seed(seed)
        found = augmented(given, **NOTHING, noise=0.0, shift=2)
        place = found.observed[0, 0].nonzero()
        inside = found.observed[0, 0]
        side = place.amax(dim=0) - place.amin(dim=0) + 1
        moved.add(tuple(side.tolist()))
        # The same pixels stand there, moved: none is invented.
        kept = found.pixels[0, 0][inside]
        assert torch.isin(kept, given.pixels[0, 0]).all()
        assert (found.pixels[:, :, ~inside] == 0).all()
        assert (found.views[:, :3, ~inside] == 0).all()
        assert (found.views[:, 6, ~inside] == 0).all()
        assert torch.equal(found.views[:, 3:6], given.views[:, 3:6])
    assert {s for pair in moved for s in pair} == {19, 20, 21}


def test_alerts_are_varied_each_by_itself():
    found = vary(alerts(64), without_features=0.5)
    assert len(rows(found, slice(8)).known.any(dim=1).unique()) == 2


def test_an_alert_turned_a_little_keeps_its_middle_and_its_light():
    n, place = 40, torch.arange(21.0) - 10
    blob = torch.exp(-(place[:, None] ** 2 + (place / 3) ** 2) / 4).expand(n, 3, 21, 21)
    given = alerts(n)._replace(pixels=blob.clone())
    found = vary(given, rotation=30.0)
    torch.testing.assert_close(found.pixels[:, :, 10, 10], blob[:, :, 10, 10])
    # Each by an angle of its own, either way, by 30 degrees at the most.
    mixed = (found.pixels[:, 0] * place[:, None] * place).sum(dim=(1, 2))
    along = (found.pixels[:, 0] * (place**2 - place[:, None] ** 2)).sum(dim=(1, 2))
    angles = torch.rad2deg(0.5 * torch.atan2(2 * mixed, along))
    assert angles.abs().max() < 31
    assert angles.min() < -15
    assert angles.max() > 15
    # What comes in at a corner was not observed, and is no number of its own.
    assert not found.observed[angles.abs() > 10][:, :, 0, 0].any()
    assert found.observed[:, :, 5:16, 5:16].all()
    assert (found.pixels[~found.observed] == 0).all()

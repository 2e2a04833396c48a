import numpy as np
import pytest

from ztfrep.sources.simulation.noise_free import render_alerts

LABELS = np.repeat(np.arange(5), 30)


@pytest.fixture(scope="module")
def alerts():
    return render_alerts(LABELS, 63, [7, 1, 2])


def test_a_noise_free_scene_differs_from_its_stamps_by_noise_alone(alerts):
    noise = alerts.stamps - alerts.noise_free
    sky = alerts.scenes.noise[:, 0, None, None]
    median = [1.4826 * np.median(np.abs(noise[:, channel] / sky)) for channel in range(3)]
    np.testing.assert_allclose(median, [1.0, 0.15, 1.01], rtol=0.05)
    # The mean over the pixels of a stamp is that of nearly 4,000 independent ones.
    assert np.abs((noise / sky[:, None]).mean(axis=(2, 3))).max() < 0.3


def test_the_noise_of_the_difference_is_that_of_the_science_exposure(alerts):
    noise = alerts.stamps - alerts.noise_free
    own = noise[:, 2] * alerts.sign[:, None, None]
    np.testing.assert_allclose(own, noise[:, 0] - noise[:, 1], atol=0.1)


def test_the_same_seed_renders_the_same_alerts(alerts):
    again = render_alerts(LABELS[:20], 63, [7, 1, 2])
    assert len(again.stamps) == 20
    repeated = render_alerts(LABELS, 63, [7, 1, 2])
    np.testing.assert_array_equal(repeated.stamps, alerts.stamps)
    np.testing.assert_array_equal(repeated.noise_free, alerts.noise_free)

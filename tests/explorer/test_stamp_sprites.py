from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ztfrep import palette
from ztfrep.explorer.stamp_sprites import StampImages, stamp_image


def decode(png):
    image = Image.open(BytesIO(png))
    assert image.format == "PNG" and image.mode == "P"
    return np.asarray(image), np.array(image.getpalette()).reshape(-1, 3)


def random_previews(n, size=15, seed=0):
    random = np.random.default_rng(seed)
    noise = random.normal(100, 20, (n, 3, size, size)).clip(1, 255)
    return noise.astype(np.uint8)


def test_the_stamps_of_an_alert_are_side_by_side_and_alerts_below_each_other():
    previews = np.full((2, 3, 11, 11), 100, np.uint8)
    # Brighter from stamp to stamp, in one corner: the limits are those of each stamp.
    for row in range(2):
        for channel in range(3):
            previews[row, channel, 5 + row, 4 + channel] = 255
    levels, _ = decode(stamp_image(previews))
    assert levels.shape == (22, 33)
    brightest = np.argwhere(levels == 255).tolist()
    # FITS row 5 of 11 is row 5 from the bottom.
    assert brightest == [[5, 4], [5, 16], [5, 28], [15, 4], [15, 16], [15, 28]]


def test_the_first_row_of_a_stamp_is_at_the_bottom():
    previews = random_previews(1)
    previews[0, :, 0] = 0
    levels, _ = decode(stamp_image(previews))
    assert not levels[-1].any() and levels[:-1].all()


def test_pixels_that_were_not_observed_have_their_colour_and_the_others_are_grey():
    previews = random_previews(1)
    previews[0, 1, 2:4, 5] = 0
    previews[0, 2] = 0
    levels, colours = decode(stamp_image(previews))
    assert "#{:02x}{:02x}{:02x}".format(*colours[0]).upper() == palette.MASKED.upper()
    assert (colours[1:, :1] == colours[1:]).all() and (np.diff(colours[1:, 0]) >= 0).all()
    assert colours[1, 0] == 0 and colours[255, 0] == 255
    masked = previews[0].transpose(1, 0, 2).reshape(15, 45)[::-1] == 0
    assert ((levels == 0) == masked).all()


def test_another_star_does_not_hide_the_noise_and_the_source():
    previews = (random_previews(1, 63) // 4 + 1).astype(np.uint8)
    faint = previews.copy()
    faint[0, :, 30:33, 30:33] = 80
    bright = faint.copy()
    bright[0, :, 2:6, 2:6] = 255
    without, _ = decode(stamp_image(faint))
    with_star, _ = decode(stamp_image(bright))
    assert np.abs(without[31, :20].astype(int) - with_star[31, :20]).max() < 20


def test_the_noise_does_not_have_the_greys_to_itself_beside_a_bright_source():
    previews = (random_previews(1, 63) // 4 + 1).astype(np.uint8)
    previews[0, :, 30:33, 30:33] = 250
    levels, _ = decode(stamp_image(previews))
    assert (levels == 255).sum() == 27 and np.sort(levels.ravel())[-28] < 60


@pytest.mark.parametrize("value", [1, 100, 255])
def test_a_stamp_of_equal_pixels_has_one_grey(value):
    levels, _ = decode(stamp_image(np.full((1, 3, 9, 9), value, np.uint8)))
    assert len(np.unique(levels)) == 1 and levels.all()


def test_previews_are_read_in_blocks_and_only_when_an_image_is_asked_for():
    previews, reads = random_previews(600, 9), []

    def read(rows):
        reads.append(rows)
        return previews[rows.start : rows.stop]

    images = StampImages(read, 600)
    assert reads == []
    # Across the border of two blocks, and in the last, which is shorter.
    for rows in (range(3, 4), range(250, 260), range(255, 256), range(590, 600)):
        assert images.image(rows) == stamp_image(previews[rows.start : rows.stop])
    assert reads == [range(256), range(256, 512), range(512, 600)]


def test_few_blocks_of_previews_are_in_memory():
    reads = []

    def read(rows):
        reads.append(rows.start // 256)
        return np.full((len(rows), 3, 9, 9), 7, np.uint8)

    images = StampImages(read, 256 * 20)
    for block in (*range(20), 12, 0, 12):
        images.image(range(256 * block, 256 * block + 1))
    # Eight stay: 0 takes the place of 13, since 12 was asked for after it.
    assert reads == [*range(20), 0]

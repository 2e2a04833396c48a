"""Cutouts of packets: common and uncommon images are read, broken ones refused with a reason."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.alert_packets import image, random_stamps
from ztfrep.sources.packets.cutouts import AlertError, cutout_slices, read_cutout

PIXELS = random_stamps(0)[0]


def fits_file(pixels, **options):
    """The image as astropy writes it."""
    unit = fits.PrimaryHDU(pixels)
    for key, value in options.items():
        unit.header[key] = value
    blank = fits.HDUList([unit])
    from io import BytesIO

    file = BytesIO()
    blank.writeto(file)
    return gzip.compress(file.getvalue(), mtime=0)


def test_an_image_is_equal_to_that_of_astropy():
    np.testing.assert_array_equal(read_cutout(image(PIXELS)), PIXELS)
    np.testing.assert_array_equal(read_cutout(image(PIXELS[:41, 2:])), PIXELS[:41, 2:])


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (fits_file(PIXELS.astype(">f8")), PIXELS),  # another type of pixels
        (fits_file(np.arange(63 * 63, dtype=">i2").reshape(63, 63)), None),  # whole numbers
        # A header of two blocks, as a broker that adds its own cards writes it.
        (image(PIXELS, [f"{f'X{i}':8}= {i:>20}" for i in range(40)]), PIXELS),
        (image(PIXELS, [f"{'BSCALE':8}= {2.0:>20}", f"{'BZERO':8}= {1.0:>20}"]), PIXELS * 2 + 1),
    ],
)
def test_uncommon_uncompressed_images_are_read(packed, expected):
    if expected is None:
        expected = np.arange(63 * 63).reshape(63, 63)
    np.testing.assert_allclose(read_cutout(packed), expected, rtol=1e-6)


def test_a_compressed_fits_image_is_refused():
    from io import BytesIO

    file = BytesIO()
    unit = fits.CompImageHDU(PIXELS, compression_type="HCOMPRESS_1")
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(file)
    with pytest.raises(AlertError, match="a compressed FITS image") as caught:
        read_cutout(gzip.compress(file.getvalue(), mtime=0))
    assert caught.value.reason == "fits"


def test_untrusted_bytes_never_reach_the_reader_of_astropy():
    for path in (Path(__file__).parents[3] / "ztfrep").rglob("*.py"):
        assert "astropy.io" not in path.read_text(), path


@pytest.mark.parametrize("keyword", ["NAXIS1", "BITPIX", "NAXIS"])
def test_a_duplicated_card_is_refused(keyword):
    value = {"NAXIS1": 62, "BITPIX": -64, "NAXIS": 2}[keyword]
    with pytest.raises(AlertError, match=f"{keyword} twice"):
        read_cutout(image(PIXELS, [f"{keyword:8}= {value:>20}"]))


whole = image(PIXELS)


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", "gzip"),
        (b"hello", "gzip"),
        (whole[: len(whole) // 2], "gzip"),  # cut short
        (whole[:-4], "gzip"),  # without the end of its checksum
        (whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:], "gzip"),  # one bit
        (gzip.compress(bytes(5_000_000), mtime=0), "gzip"),  # small, and decompresses to far more
        (gzip.compress(b"hello" * 2000, mtime=0), "fits"),  # no FITS
        (
            gzip.compress(gzip.decompress(whole)[:9000], mtime=0),
            "fits",
        ),  # fewer pixels than announced
        (gzip.compress(b"", mtime=0), "fits"),
        # More pixels than there is memory for.
        (gzip.compress(gzip.decompress(whole).replace(b"  63 ", b"9999 "), mtime=0), "fits"),
    ],
)
def test_a_broken_image_is_refused_with_a_reason(packed, reason):
    with pytest.raises(AlertError) as caught:
        read_cutout(packed)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("shape", "x", "y", "rows", "columns"),
    [
        ((63, 63), np.nan, np.nan, (0, 63), (0, 63)),
        ((63, 50), 3053.9, 709.0, (0, 63), (0, 50)),  # the right edge cut its right side
        ((63, 50), 18.9, 709.0, (0, 63), (13, 63)),
        ((51, 63), 2875.6, 19.8, (12, 63), (0, 63)),
        ((48, 63), 2298.3, 3063.8, (0, 48), (0, 63)),
        ((51, 50), 3053.9, 19.8, (12, 63), (0, 50)),  # a corner
    ],
)
def test_a_smaller_image_is_padded_so_that_its_alert_is_in_the_centre(shape, x, y, rows, columns):
    slices = cutout_slices(shape, x, y)
    assert [(part.start, part.stop) for part in slices] == [rows, columns]
    # The alert, in the image's own pixels, is in the centre of the stamp.
    if shape != (63, 63):
        first_row, first_column = max(0, round(y - 1) - 31), max(0, round(x - 1) - 31)
        assert slices[0].start + round(y - 1) - first_row == 31
        assert slices[1].start + round(x - 1) - first_column == 31


@pytest.mark.parametrize(
    ("shape", "x"), [((64, 63), 100), ((63, 31), 100), ((63, 0), 100), ((63, 50), np.nan)]
)
def test_an_image_without_a_valid_position_is_refused(shape, x):
    with pytest.raises(AlertError) as caught:
        cutout_slices(shape, x, 100.0)
    assert caught.value.reason == "shape"

"""Images of FITS files: equal to those of astropy, and safe on hostile bytes."""

import io
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from ztfrep.sources.packets.fits import read_image

TYPES = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}


def card(keyword, value):
    return f"{keyword:8}= {value:>20}".ljust(80).encode()


def header(*cards):
    text = b"".join([*cards, b"END".ljust(80)])
    return text + b" " * (-len(text) % 2880)


TABLE = {"SIMPLE": "T", "BITPIX": -32, "NAXIS": 2, "NAXIS1": 5, "NAXIS2": 4}
DATA = np.arange(20, dtype=">f4").tobytes().ljust(2880, b"\0")


def file(*cards, data=DATA, **values):
    """A file of 4 x 5 pixels; `values` replace or follow those of its cards."""
    return header(*(card(*item) for item in (TABLE | values).items()), *cards) + data


def by_astropy(raw):
    with warnings.catch_warnings(action="ignore"), fits.open(io.BytesIO(raw)) as units:
        unit = next(unit for unit in units if unit.header["NAXIS"] > 0)
        with np.errstate(over="ignore"):
            return np.array(unit.data).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_image_is_equal_to_that_of_astropy(data):
    bitpix = data.draw(st.sampled_from(sorted(TYPES)))
    shape = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    seed = data.draw(st.integers(0, 2**32))
    dtype = np.dtype(TYPES[bitpix]).newbyteorder(">")
    rng = np.random.default_rng(seed)
    if bitpix > 0:
        limits = np.iinfo(dtype)
        pixels = rng.integers(limits.min, limits.max, shape, dtype.newbyteorder("="), endpoint=True)
    else:
        pixels = rng.normal(0, 1e6, shape)
        pixels[rng.random(shape) < 0.1] = np.nan
    pixels = pixels.astype(dtype)
    cards = {"SIMPLE": "T", "BITPIX": bitpix, "NAXIS": 2, "NAXIS1": shape[1], "NAXIS2": shape[0]}
    cards |= {f"X{i}": i for i in range(data.draw(st.sampled_from([0, 5, 60, 150])))}
    # Python writes smaller values with a lower-case e, which is not FITS.
    scales = st.floats(-1e5, 1e5).filter(lambda value: abs(value) > 1e-4)
    if data.draw(st.booleans()):
        cards["BSCALE"] = data.draw(scales)
    if data.draw(st.booleans()):
        cards["BZERO"] = data.draw(st.one_of(scales, st.just(32768), st.just("2.5D1")))
    # astropy wants a scale of integers that have a blank.
    if bitpix > 0 and "BSCALE" in cards and cards["BSCALE"] != 1:
        cards["BLANK"] = int(pixels[0, 0])
    raw = header(*(card(*item) for item in cards.items())) + pixels.tobytes()
    raw += bytes(-len(raw) % 2880)
    if data.draw(st.booleans()):
        # The image as an extension, after an empty primary header.
        empty = header(card("SIMPLE", "T"), card("BITPIX", 8), card("NAXIS", 0))
        first = "XTENSION= 'IMAGE   '           / an image".ljust(80).encode()
        more = card("PCOUNT", 0) + card("GCOUNT", 1)
        at = 5 * 80
        raw = empty + header(
            first, raw[80:at], more, *(card(*item) for item in list(cards.items())[5:])
        )
        raw += pixels.tobytes()
        raw += bytes(-len(raw) % 2880)
    image = read_image(raw)
    assert image.dtype == np.float32
    # astropy scales small integers in float32.
    np.testing.assert_allclose(image, by_astropy(raw), rtol=1e-6, atol=1e-6 * 1e5 * 2**15)
    if not {"BSCALE", "BZERO"} & set(cards):
        np.testing.assert_array_equal(image, by_astropy(raw))


def test_bscale_bzero_and_blank_are_applied():
    data = np.array([1, 2, -99], ">i2").tobytes().ljust(2880, b"\0")
    raw = file(data=data, BITPIX=16, NAXIS1=3, NAXIS2=1, BSCALE=0.5, BZERO="1D2", BLANK=-99)
    np.testing.assert_array_equal(read_image(raw), [[100.5, 101, np.nan]])
    unscaled = file(data=data, BITPIX=16, NAXIS1=3, NAXIS2=1, BLANK=-99)
    np.testing.assert_array_equal(read_image(unscaled), [[1, 2, np.nan]])
    unsigned = file(data=data, BITPIX=16, NAXIS1=3, NAXIS2=1, BZERO=32768)
    np.testing.assert_array_equal(read_image(unsigned), [[32769, 32770, 32669]])


def test_values_beyond_float32_become_infinite():
    data = np.array([1e300, 1.0], ">f8").tobytes().ljust(2880, b"\0")
    raw = file(data=data, BITPIX=-64, NAXIS1=2, NAXIS2=1)
    np.testing.assert_array_equal(read_image(raw), [[np.inf, 1]])


def by_astropy_written(*units):
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(stream)
    return stream.getvalue()


PIXELS = np.random.default_rng(0).normal(100, 10, (63, 63)).astype(np.float32)


@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_1", "HCOMPRESS_1"])
def test_compressed_images_are_refused(compression):
    raw = by_astropy_written(fits.CompImageHDU(PIXELS, compression_type=compression))
    with pytest.raises(ValueError, match="a compressed FITS image, which is not read"):
        read_image(raw)


def test_tables_and_random_groups_are_refused():
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
    with pytest.raises(ValueError, match="extension 'BINTABLE', no image"):
        read_image(by_astropy_written(table))
    with pytest.raises(ValueError, match="random groups"):
        read_image(file(NAXIS1=0, GROUPS="T"))
    with pytest.raises(ValueError, match="without an image"):
        read_image(by_astropy_written())


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no FITS image but an empty file"),
        (b"hello" * 1000, "no FITS image but text"),
        (file()[:2880], "pixels"),  # no pixels at all
        (b"SIMPLE  =                    T".ljust(80) + b" " * 1_000_000, "without its end"),
        (file()[:300], "without its end"),
        (file(SIMPLE="F"), "does not follow the FITS standard"),
        (file(NAXIS=10**9), "1000000000 axes"),
        (file(NAXIS=3, NAXIS3=1), "3 axes"),
        (file(NAXIS=-2), "-2 axes"),
        (file(NAXIS="9" * 60), "NAXIS is .* no whole number"),
        (file(NAXIS1=10**9), "pixels"),
        (file(NAXIS1=10**18, NAXIS2=10**18), "pixels"),
        (file(NAXIS1=-5), "pixels"),
        (file(NAXIS1=-5, NAXIS2=-4), "pixels"),
        (file(NAXIS1="abc"), "NAXIS1 is 'abc', no whole number"),
        (file(NAXIS1="1e3"), "NAXIS1 is '1e3', no whole number"),
        (file(NAXIS1="'5'"), "NAXIS1 is ''5'', no whole number"),
        (file(NAXIS1="5.0"), "no whole number"),
        (file(NAXIS1=""), "no whole number"),
        (file(card("NAXIS1", 4)), "the card NAXIS1 twice"),
        (file(card("NAXIS1", 5)), "the card NAXIS1 twice"),
        (file(BITPIX=7), "BITPIX '7'"),
        (file(BITPIX="-32.0"), "no whole number"),
        (file(PCOUNT=10**9), "PCOUNT is not 0"),
        (file(GCOUNT=2), "GCOUNT is not 1"),
        (file(BSCALE="nan"), "BSCALE is 'nan', no number"),
        (file(BSCALE="1E999"), "BSCALE is '1E999', not finite"),
        (file(BZERO="two"), "BZERO is 'two', no number"),
        (file(BITPIX=16, BLANK="x"), "BLANK is 'x', no whole number"),
        (header(card("SIMPLE", "T"), card("BITPIX", 8)), "without NAXIS"),
        (header(card("SIMPLE", "T"), card("NAXIS", 2)), "without NAXIS1"),
        (header(card("SIMPLE", "T"), card("NAXIS", 0)) * 3, "no extension after"),
    ],
)
def test_a_hostile_header_is_refused_with_a_message_of_one_line(raw, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_image(raw)
    assert len(str(caught.value)) < 160
    assert str(caught.value).isprintable()


def test_a_table_of_a_thousand_million_fields_is_refused():
    first = b"XTENSION= 'BINTABLE'".ljust(80)
    table = header(first, *(card(*i) for i in {"BITPIX": 8, "NAXIS": 2, "TFIELDS": 10**9}.items()))
    empty = header(card("SIMPLE", "T"), card("BITPIX", 8), card("NAXIS", 0))
    with pytest.raises(ValueError, match="BINTABLE"):
        read_image(empty + table)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_read(data):
    raw = bytearray(file(BSCALE=2.0))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, 700))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        image = read_image(cut)
    except ValueError as error:
        assert len(str(error)) < 200
    else:
        assert image.ndim == 2
        assert image.dtype == np.float32

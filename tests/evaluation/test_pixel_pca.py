import numpy as np

from ztfrep.evaluation.pixel_pca import PixelPCA


def images(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 3, 4, 4)).astype(np.float32), rng.random((n, 3, 4, 4)) > 0.2


def test_more_components_reconstruct_better_and_all_of_them_perfectly():
    pixels, mask = images()
    everything = np.ones_like(mask)
    errors = []
    for components in (2, 8, 48):
        pca = PixelPCA.fit(pixels, everything, components)
        reconstructed = pca.decode(pca.encode(pixels, everything))
        errors.append(((reconstructed - pixels) ** 2).mean())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-10


def test_masked_pixels_do_not_change_the_components():
    pixels, mask = images()
    changed = np.where(mask, pixels, 77)
    fitted = [PixelPCA.fit(part, mask, 4) for part in (pixels, changed)]
    np.testing.assert_array_equal(fitted[0].encode(pixels, mask), fitted[1].encode(changed, mask))


def test_few_rows_have_fewer_components_than_rows():
    pixels, mask = images(5)
    assert PixelPCA.fit(pixels, mask, 100).encode(*images(9)).shape == (9, 4)

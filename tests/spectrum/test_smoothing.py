"""Smoothing keeps the mean, treats complex maps as such, and tiles with a halo."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from uemdask.errors import UemError
from uemdask.spectrum import smooth, smoothing_halo


def test_same_as_a_gaussian_filter() -> None:
    s = np.random.default_rng(0).normal(size=(2, 40, 50)).astype(np.float32)
    expected = gaussian_filter(s.astype(float), (0, 2, 2), mode="mirror", truncate=4)
    np.testing.assert_allclose(smooth(s, 2.0), expected, atol=1e-6)


def test_complex_is_real_and_imaginary_part() -> None:
    rng = np.random.default_rng(0)
    Z = (rng.normal(size=(30, 30)) + 1j * rng.normal(size=(30, 30))).astype(np.complex64)
    result = smooth(Z, 1.5)
    np.testing.assert_allclose(result.real, smooth(Z.real.copy(), 1.5), atol=1e-6)
    np.testing.assert_allclose(result.imag, smooth(Z.imag.copy(), 1.5), atol=1e-6)


def test_tile_with_halo_equals_the_whole() -> None:
    s = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    h = smoothing_halo(2.0)
    tile = smooth(s[:, 20 - h : 40 + h, 24 - h : 44 + h], 2.0)[:, h:-h, h:-h]
    np.testing.assert_allclose(tile, smooth(s, 2.0)[:, 20:40, 24:44], atol=1e-6)


def test_other_types_are_refused() -> None:
    with pytest.raises(UemError, match="float64"):
        smooth(np.zeros((4, 4)), 1.0)  # type: ignore[type-var]

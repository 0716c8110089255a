"""A small crystal image that can be sampled exactly at any drift."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

MARGIN = 32


class Scene:
    """Texture of 4 to 60 px, contours and a wave, all functions of ``r - drift``."""

    def __init__(self, size: int, seed: int, *, texture: float = 0.08) -> None:
        self.size = size
        self.random = np.random.default_rng(seed)
        full = size + 2 * MARGIN
        self._ky = np.fft.fftfreq(full)[:, None]
        self._kx = np.fft.rfftfreq(full)[None]
        k = np.hypot(self._ky, self._kx)
        band = np.exp(-((k / 0.1) ** 2)) * (k > 1 / 60) * (k < 0.3)
        spectrum = np.fft.rfft2(self.random.standard_normal((full, full))) * band
        deviation = np.fft.irfft2(spectrum, s=(full, full)).std()
        self._texture = spectrum * texture / deviation
        self._direction = self.random.uniform(0, 2 * np.pi)

    def frame(
        self,
        drift: tuple[float, float] = (0.0, 0.0),
        *,
        counts: float = 300.0,
        gain: float = 1.0,
        wave: float = 0.0,
        wavelength: float = 40.0,
        phase: float = 0.0,
        front: bool = False,
        contour: float = 0.0,
        noise: bool = True,
    ) -> np.ndarray:
        full = self.size + 2 * MARGIN
        turn = np.exp(-2j * np.pi * (self._kx * drift[0] + self._ky * drift[1]))
        texture = np.fft.irfft2(self._texture * turn, s=(full, full))
        image = 1 + texture[MARGIN:-MARGIN, MARGIN:-MARGIN]
        y, x = np.mgrid[: self.size, : self.size].astype(float)
        x, y = x - drift[0], y - drift[1]
        along = 0.8 * x + 0.6 * y + 6 * np.sin((x - y) / 50)
        for place in (0.3, 0.75, 1.1):
            image = image * (1 - 0.4 * np.exp(-(((along - place * self.size - contour) / 12) ** 2)))
        u = x * np.cos(self._direction) + y * np.sin(self._direction)
        pattern = np.sin(2 * np.pi * u / wavelength - phase)
        if front:
            pattern = np.tanh(3 * pattern)
        image = image * (1 + wave * pattern) * counts * gain
        return self.random.poisson(image).astype(np.float32) if noise else image.astype(np.float32)


@pytest.fixture
def make_scene() -> Callable[..., Scene]:
    return Scene

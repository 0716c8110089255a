"""Where in the field a wave is: a rounded region with soft borders, in formulas of the position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Line = npt.NDArray[np.floating]

SOFTNESS = 0.035  # width of the border, of the larger side of the frame


@dataclass(frozen=True)
class WaveArea:
    """Soft region ``height(r) > level``; positions are px from the centre of the field.

    Use :func:`draw_wave_area` to make one.
    """

    centre: tuple[float, float]
    size: float
    lobes: tuple[tuple[float, float], ...]
    level: float
    everywhere: bool

    def height(self, y: Line, x: Line) -> Image:
        """Signed height (y, x) that falls away from the centre, in units of the frame's size."""
        v = ((y - self.centre[0]) / self.size).astype(np.float32)[:, None]
        u = ((x - self.centre[1]) / self.size).astype(np.float32)[None, :]
        height = -np.sqrt(u * u + v * v + np.float32(1e-4))
        for number, (size, turn) in enumerate(self.lobes, start=2):
            wobble = np.sin(number * 2.0 * u + turn) + np.sin(number * 2.0 * v - turn)
            height += np.float32(size) * wobble
        return np.asarray(height)

    def __call__(self, y: Line, x: Line) -> Image:
        """Share of wave (y, x), 1 inside, 0 outside."""
        if self.everywhere:
            return np.ones((y.size, x.size), dtype=np.float32)
        inside = (self.height(y, x) - np.float32(self.level)) / np.float32(SOFTNESS)
        return np.asarray(0.5 + 0.5 * np.tanh(inside), dtype=np.float32)


def draw_wave_area(
    rng: np.random.Generator, *, shape: tuple[int, int], coverage: float
) -> WaveArea:
    """Draw a region that covers a share of the frame.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    shape : tuple of int
        (y, x) of the frame, px.
    coverage : float
        Share of the frame inside the region, 0..1.
    """
    centre = rng.uniform(-0.12, 0.12, 2) * np.array(shape)
    lobes = tuple(
        (float(size), float(turn))
        for size, turn in zip(
            rng.uniform(0.02, 0.08, 3), rng.uniform(0.0, 2.0 * np.pi, 3), strict=True
        )
    )
    region = WaveArea(
        centre=(float(centre[0]), float(centre[1])),
        size=float(max(shape)),
        lobes=lobes,
        level=0.0,
        everywhere=coverage >= 1.0,
    )
    y, x = (np.arange(n) - (n - 1) / 2.0 for n in shape)
    level = float(np.quantile(region.height(y[::2], x[::2]), 1.0 - coverage))
    return WaveArea(region.centre, region.size, lobes, level, region.everywhere)

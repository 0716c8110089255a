"""How much light reaches the camera: aperture, shadow, bar and beam, as formulas of place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.simulate.defects import Defects

Image = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
Line = npt.NDArray[np.floating]

EDGE_WIDTH = 1.5  # px, softness of the edges of aperture and bar
SHADOW_WIDTH = 0.05  # softness of a shadow, of the smaller side of the frame
OFF_CENTRE = 0.04  # how far aperture and beam lie off the middle at most, of the frame


@dataclass(frozen=True)
class Shade:
    """Share of the light that passes, 0..1. Positions are px from the centre of the field.

    Use :func:`draw_shade` to make one. Lines are given by the angle of their normal and their
    distance from the centre.
    """

    defects: Defects
    shape: tuple[int, int]
    centre: tuple[float, float]
    shadow: tuple[float, float]
    bar: tuple[float, float]

    def passed(self, y: Line, x: Line, drift: Array) -> Image:
        """Share of the light (y, x) that aperture, shadow and bar let pass.

        ``y`` and ``x`` are rows and columns on the camera, px; the bar has moved by ``drift``
        (x, y).
        """
        d, side = self.defects, min(self.shape)
        share = np.ones((y.size, x.size), dtype=np.float32)
        if d.aperture > 0:
            radius = np.hypot(y[:, None] - self.centre[0], x[None, :] - self.centre[1])
            share *= _step((d.aperture * side / 2 - radius) / EDGE_WIDTH)
        if d.shadow > 0:
            share *= _step(_across(y, x, self.shadow) / (SHADOW_WIDTH * side))
        if d.bar > 0:
            away = np.abs(_across(y - drift[1], x - drift[0], self.bar))
            share *= _step((away - d.bar / 2) / EDGE_WIDTH)
        return share

    def beam(self, y: Line, x: Line, wander: Array) -> Image:
        """Brightness (y, x) of the beam, 1 in its middle, which lies ``wander`` (x, y) px off.

        ``y`` and ``x`` are rows and columns on the specimen, px.
        """
        corner = (self.shape[0] ** 2 + self.shape[1] ** 2) / 4
        steep = -np.log(self.defects.beam_profile) / corner
        rows, columns = (
            np.exp(-steep * (line - centre - off) ** 2)
            for line, centre, off in zip((y, x), self.centre, wander[::-1], strict=True)
        )
        return np.outer(rows, columns).astype(np.float32)


def draw_shade(rng: np.random.Generator, defects: Defects, shape: tuple[int, int]) -> Shade:
    """Draw where aperture, shadow and bar lie.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    defects : Defects
        Which there are.
    shape : tuple of int
        (y, x) of the frame, px.
    """
    centre = rng.uniform(-OFF_CENTRE, OFF_CENTRE, 2) * np.array(shape)
    shadow, bar = rng.uniform(0.0, 2.0 * np.pi, 2)
    y, x = (np.arange(n) - (n - 1) / 2.0 for n in shape)
    edge = float(np.quantile(_across(y, x, (shadow, 0.0)), defects.shadow))
    offset = float(rng.uniform(-0.2, 0.2)) * min(shape)
    return Shade(
        defects,
        shape,
        (float(centre[0]), float(centre[1])),
        (float(shadow), edge),
        (float(bar), offset),
    )


def draw_wander(rng: np.random.Generator, frames: int, *, largest: float) -> Array:
    """Draw where the beam lies in each frame: a random walk.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    frames : int
        Number of frames.
    largest : float
        Largest distance from its mean place, px.

    Returns
    -------
    numpy.ndarray
        (time, 2) columns x, y in px on the specimen.
    """
    walk = np.cumsum(rng.normal(size=(frames, 2)), axis=0)
    walk -= walk.mean(axis=0)
    return np.asarray(walk * (largest / np.hypot(*walk.T).max()))


def _across(y: Line, x: Line, line: tuple[float, float]) -> Line:
    """Signed distance (y, x) from a line."""
    angle, distance = line
    return np.sin(angle) * y[:, None] + np.cos(angle) * x[None, :] - distance


def _step(distance: Line) -> Image:
    """Soft step from 0 to 1, within 1 of zero mostly."""
    return (0.5 + 0.5 * np.tanh(distance)).astype(np.float32)

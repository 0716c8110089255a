"""The still part of a simulated image: bend contours, texture, specks and the edge of the flake.

Everything is a formula of the position, so a drifted frame is sampled exactly, at any fraction of a
pixel, and what drifts in at the border is new sample and not a repeat. All features are
wider than about four pixels, well inside the Nyquist limit of the pixel grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Image = npt.NDArray[np.float32]
Line = npt.NDArray[np.floating]

TEXTURE_WAVES = 160  # plane waves summed for the texture; more look the same and cost time
TEXTURE_PERIODS = (6.0, 70.0)  # px, shortest and longest period of the texture
SPECK_AREA = 3000.0  # px² of sample for each speck of dirt
SPECK_LIMIT = 300  # specks at most, to bound the cost of large frames
SPECK_MARGIN = 64.0  # px around the frame in which specks lie too, ready to drift in
BENDING_WAVES = 9  # plane waves summed for the bending of the crystal
BENDING_PERIODS = np.array([0.7, 3.0])  # periods of the bending, of the frame's larger side
BENDING_SPREAD = 0.6  # rad, by which the bending strays from one direction
BAND_WIDTH = 0.30  # width of one bend contour in units of the rms bending
BAND_THICKNESS = 1.3  # crystal thickness in extinction lengths: sets the side fringes
EDGE_WIDTH = 1.5  # px, softness of the flake's edge
OUTSIDE_LEVEL = 1.5  # brightness of the empty support beside the flake, of the flake's mean
HEATING_TIME = 150.0  # ps in which the bend contours settle after the pump
CONTOURS = (0.9, -1.1, -0.1)  # bending at which the Bragg condition is met: two bright, one dark
REVERSAL_WIDTH = 0.1  # bending within which the contrast of a tilt changes its sign


@dataclass(frozen=True)
class PlaneWaves:
    """A random field as a sum of plane waves ``a cos(p x + q y + c)``; coordinates in px."""

    p: Line
    q: Line
    amplitude: Line
    offset: Line

    def __call__(self, y: Line, x: Line) -> Image:
        """Values (y, x) on the grid of the row positions ``y`` and column positions ``x``."""
        # cos(a + b) = cos a cos b - sin a sin b makes the whole sum one matrix product.
        rows = np.outer(y, self.q)
        columns = np.outer(self.p, x) + self.offset[:, None]
        left = np.concatenate([np.cos(rows), -np.sin(rows)], axis=1).astype(np.float32)
        right = (
            np.concatenate([np.cos(columns), np.sin(columns)]) * np.tile(self.amplitude, 2)[:, None]
        )
        return np.asarray(left @ right.astype(np.float32))


def random_field(
    rng: np.random.Generator,
    *,
    periods: tuple[float, float] | npt.NDArray[np.floating],
    count: int,
    rms: float,
    spread: float = np.pi,
) -> PlaneWaves:
    """Draw a random field with periods (px) spread evenly in their logarithm.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    periods : tuple of float
        Shortest and longest period, px.
    count : int
        How many plane waves.
    rms : float
        Root mean square of the field.
    spread : float
        How far the plane waves stray from one common direction, rad; pi is isotropic.
    """
    period = np.exp(rng.uniform(np.log(periods[0]), np.log(periods[1]), count))
    direction = rng.uniform(0.0, 2.0 * np.pi) + rng.uniform(-spread, spread, count)
    k = 2.0 * np.pi / period
    # Longer periods are stronger, as in real texture.
    amplitude = np.sqrt(period)
    amplitude *= rms / np.sqrt(np.sum(amplitude**2) / 2.0)
    return PlaneWaves(
        p=k * np.cos(direction),
        q=k * np.sin(direction),
        amplitude=amplitude,
        offset=rng.uniform(0.0, 2.0 * np.pi, count),
    )


def rocking_curve(deviation: Image) -> Image:
    """Diffracted share of a thin crystal in the two-beam case, 0 to 1.

    ``sin²(pi T sqrt(1 + w²)) / (1 + w²)`` with deviation ``w`` and thickness ``T`` in extinction
    lengths (Hirsch et al., Electron Microscopy of Thin Crystals): a band with side fringes.
    """
    w = 1.0 + deviation * deviation
    wave = np.sin(np.float32(np.pi * BAND_THICKNESS) * np.sqrt(w))
    return np.asarray(wave * wave / w)


@dataclass(frozen=True)
class Background:
    """Brightness of the sample without any wave; the flake's mean at time zero is about 1.

    Use :func:`draw_background` to make one. Positions are px from the centre of the field.
    """

    texture: PlaneWaves
    bending: PlaneWaves
    bending_mean: float
    contour_range: tuple[float, float]
    contour_floor: float
    contour_span: float
    contour_power: float
    contour_tilt: float
    contour_darkening: float
    speck_y: Line
    speck_x: Line
    speck_width: Line
    speck_depth: Line
    edge_angle: float
    edge_offset: float
    edge_wobble: tuple[float, float]
    covered: bool

    def flake(self, y: Line, x: Line) -> Image:
        """Share of flake (y, x), 1 inside, 0 on the empty support."""
        if self.covered:
            return np.ones((y.size, x.size), dtype=np.float32)
        c, s = np.cos(self.edge_angle), np.sin(self.edge_angle)
        along = (c * y[:, None] - s * x[None, :]).astype(np.float32)
        across = (s * y[:, None] + c * x[None, :]).astype(np.float32)
        height, period = self.edge_wobble
        wobble = height * np.sin(along * np.float32(2.0 * np.pi / period))
        inside = (np.float32(self.edge_offset) - across - wobble) / np.float32(EDGE_WIDTH)
        return np.asarray(0.5 + 0.5 * np.tanh(inside), dtype=np.float32)

    def band(self, y: Line, x: Line, tilt: float = 0.0) -> Image:
        """Bend contours (y, x) scaled to about 0..1, the crystal tilted by ``tilt``."""
        bands = _bands(self.bending(y, x) + np.float32(tilt - self.bending_mean))
        unit = np.clip((bands - self.contour_floor) / self.contour_span, 0.0, 1.0)
        return np.asarray(unit ** np.float32(self.contour_power), dtype=np.float32)

    def __call__(self, y: Line, x: Line, t: float) -> Image:
        """Brightness (y, x) at row and column positions (px) and delay ``t`` (ps)."""
        heating = _heating(t)
        low, high = self.contour_range
        band = self.band(y, x, tilt=self.contour_tilt * heating)
        contours = low + (high - low) * band
        contours *= 1.0 - np.float32(self.contour_darkening * heating) * band
        flake = self.flake(y, x)
        inside = contours * (1.0 + self.texture(y, x))
        dirt = 1.0 - self._specks(y, x)
        return np.asarray((flake * inside + (1.0 - flake) * OUTSIDE_LEVEL) * dirt)

    def contrast(self, y: Line, x: Line, t: float) -> Image:
        """Sign and strength (y, x) of the contrast of a small tilt at delay ``t`` (ps), -1..1.

        The rocking curve rises on one side of the Bragg condition and falls on the other.
        """
        bending = self.bending(y, x) + np.float32(
            self.contour_tilt * _heating(t) - self.bending_mean
        )
        sides = [
            np.tanh((bending - np.float32(at)) / np.float32(REVERSAL_WIDTH)) for at in CONTOURS
        ]
        return np.asarray(np.prod(sides, axis=0), dtype=np.float32)

    def _specks(self, y: Line, x: Line) -> Image:
        rows = np.exp(-0.5 * ((y[:, None] - self.speck_y) / self.speck_width) ** 2)
        columns = np.exp(-0.5 * ((x[:, None] - self.speck_x) / self.speck_width) ** 2)
        product = (rows * self.speck_depth).astype(np.float32) @ columns.T.astype(np.float32)
        return np.minimum(product, np.float32(0.8))


def _heating(t: float) -> float:
    """Share (0..1) of the change by the pump that has come at delay ``t`` (ps)."""
    return float(1.0 - np.exp(-max(t, 0.0) / HEATING_TIME))


def _bands(bending: Image) -> Image:
    """Two bright and one dark family of bend contours from a bending of rms 1."""
    bright, other, dark = (
        rocking_curve((bending - np.float32(at)) / np.float32(BAND_WIDTH)) for at in CONTOURS
    )
    return np.asarray(bright + np.float32(0.7) * other - np.float32(0.5) * dark)


def draw_background(
    rng: np.random.Generator,
    *,
    shape: tuple[int, int],
    texture: float,
    contour_range: tuple[float, float],
    contour_shift: float,
    contour_darkening: float,
    coverage: float,
) -> Background:
    """Draw the still part of an image.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    shape : tuple of int
        (y, x) of the frame, px.
    texture : float
        Root mean square of the fine texture, relative.
    contour_range : tuple of float
        Brightness of the darkest and brightest bend contours, of the mean.
    contour_shift : float
        How far the contours move after the pump, px (root mean square over the field).
    contour_darkening : float
        Share by which the bright contours darken after the pump.
    coverage : float
        Share of the frame under the flake, 0..1; 1 shows no edge.

    Returns
    -------
    Background
        A callable of row positions, column positions and delay.
    """
    size = float(max(shape))
    y, x = (np.arange(n) - (n - 1) / 2.0 for n in shape)
    # A thin crystal rolls up more than it dents: contours run along one direction.
    bending = random_field(
        rng, periods=BENDING_PERIODS * size, count=BENDING_WAVES, rms=1.0, spread=BENDING_SPREAD
    )
    here = bending(y, x)
    bending = replace(bending, amplitude=bending.amplitude / here.std())
    here /= here.std()
    mean = float(here.mean())
    slope = float(np.sqrt(sum(np.mean(g**2) for g in np.gradient(here))))
    bands = _bands(here - np.float32(mean))
    floor, span = float(bands.min()), float(np.ptp(bands))
    unit = np.clip((bands[::4, ::4] - floor) / span, 1e-6, 1.0)
    power = _power_for_mean(unit, contour_range)

    height, width = shape
    area = (height + 2 * SPECK_MARGIN) * (width + 2 * SPECK_MARGIN)
    specks = int(min(area / SPECK_AREA, SPECK_LIMIT))
    edge_angle = float(rng.uniform(0.0, 2.0 * np.pi))
    across = np.sin(edge_angle) * y[:, None] + np.cos(edge_angle) * x[None, :]
    return Background(
        texture=random_field(rng, periods=TEXTURE_PERIODS, count=TEXTURE_WAVES, rms=texture),
        bending=bending,
        bending_mean=mean,
        contour_range=contour_range,
        contour_floor=floor,
        contour_span=span,
        contour_power=power,
        contour_tilt=contour_shift * slope,
        contour_darkening=contour_darkening,
        speck_y=rng.uniform(y[0] - SPECK_MARGIN, y[-1] + SPECK_MARGIN, specks),
        speck_x=rng.uniform(x[0] - SPECK_MARGIN, x[-1] + SPECK_MARGIN, specks),
        speck_width=rng.uniform(1.6, 4.0, specks),
        speck_depth=rng.choice([1.0, 1.0, 1.0, -0.6], specks) * rng.uniform(0.05, 0.3, specks),
        edge_angle=edge_angle,
        edge_offset=float(np.quantile(across, coverage)),
        edge_wobble=(float(rng.uniform(0.01, 0.03)) * size, float(rng.uniform(0.3, 0.8)) * size),
        covered=coverage >= 1.0,
    )


def _power_for_mean(unit: npt.NDArray[np.floating], contour_range: tuple[float, float]) -> float:
    """Exponent that puts the mean of the contours at 1 within their range."""
    low, high = contour_range
    if high <= low:
        return 1.0
    wanted = float(np.clip((1.0 - low) / (high - low), 0.02, 0.98))

    def excess(log_power: float) -> float:
        return float(np.mean(unit ** np.exp(log_power))) - wanted

    # The mean falls from near 1 to near 0 as the power grows, so the root lies between.
    lower, upper = np.log(0.02), np.log(50.0)
    if excess(lower) < 0.0 or excess(upper) > 0.0:
        return 1.0
    return float(np.exp(brentq(excess, lower, upper)))

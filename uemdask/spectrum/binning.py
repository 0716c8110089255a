"""How coarse a grid may be that still describes a wave."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uemdask.spectrum.complex_wave import COMPLEX_WINDOW
from uemdask.spectrum.harmonics import Complex64, Float32, Float64
from uemdask.spectrum.wave import analytic_wave, band_pass_operator

#: Samples that the shortest wavelength keeps at least.
SAMPLES = 16
#: Fewest samples that tell how a wave moves: of fewer, it looks like another.
FEWEST_SAMPLES = 4
#: Largest factor by which a grid is reduced.
COARSEST = 16

_SQUARES = 96  # along the shorter edge of a frame, at least: the network sees far
_FRAMES = 16  # of a series, at which the wavelength is measured
_LAG = 4  # px between neighbours: a wave of 8 px is the shortest that is told
_BLOCK = 8  # lags along the edge of a square over which is averaged
# Share of the power in waves that may be shorter than the shortest that counts.
_SHORTER = 0.1


@dataclass(frozen=True)
class Crests:
    """How to measure the distance of the crests of a wave.

    Attributes
    ----------
    operator : (frame, T) complex64
        From the wave to its complex frames, at a few delays.
    noise : float
        Mean square of its noise.
    alike : float
        Correlation of that noise in neighbours.
    """

    operator: Complex64
    noise: float
    alike: float

    @classmethod
    def of(
        cls,
        delays: np.ndarray,
        centre: float,
        *,
        noise: float,
        smoothing: float,
        window: float,
    ) -> Crests:
        """Prepare for a wave.

        Parameters
        ----------
        delays : ndarray, (T,)
            ps.
        centre : float
            GHz.
        noise : float
            Root-mean-square noise of the wave; NaN where it is not known.
        smoothing : float
            By which it was smoothed, px.
        window : float
            Of its band-pass, periods.
        """
        at = delays[_FRAMES // 2 % len(delays) :: max(1, len(delays) // _FRAMES)]
        operator = band_pass_operator(delays, centre, window=COMPLEX_WINDOW * 1e3 / centre, at=at)
        # The mean over a square widens what is alike, as the second window in time does.
        wide = smoothing**2 + (_LAG**2 - 1) / 12
        kept = smoothing**2 / wide / np.hypot(1, COMPLEX_WINDOW / window)
        power = 2 * np.nan_to_num(noise) ** 2 * kept
        return cls(operator, float(power), float(np.exp(-(_LAG**2) / (4 * wide))))

    def measure(self, wave: Float32, relevant: np.ndarray) -> tuple[Float64, Float64]:
        """Return squared wave numbers (n,) in a part of the field, and the power behind each.

        The wave number is that of the mean change between neighbours, which neither asks whether
        the wave travels nor which of several waves it is: the shorter ones count more.

        Parameters
        ----------
        wave : ndarray, (T, y, x) float32
        relevant : ndarray of bool, (y, x)

        Returns
        -------
        square, power : ndarray
            (rad/px)^2; mean square of the complex wave times the share of relevant pixels.
        """
        edge = _LAG * _BLOCK
        rows, columns = (max(1, size // edge) for size in relevant.shape)
        fine = tuple(min(count * edge, size) for count, size in zip((rows, columns),
                     relevant.shape, strict=True))  # fmt: skip
        size = fine[1] // _LAG, fine[0] // _LAG
        if min(size) < 2:
            return np.empty(0), np.empty(0)
        cut = tuple(slice(0, length // _LAG * _LAG) for length in fine)
        coarse = np.stack(
            [cv2.resize(frame[cut], size, interpolation=cv2.INTER_AREA) for frame in wave]
        )
        inside = (
            cv2.resize(relevant[cut].astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
        )
        Z = analytic_wave(coarse, self.operator)
        power = [_blocks(np.square(np.abs(frame)) * inside, rows, columns) for frame in Z]
        share = np.maximum(_blocks(inside.astype(np.float32), rows, columns), 1e-9)
        strength = np.asarray(power) / share - self.noise
        square = np.zeros(strength.shape)
        for axis in (1, 2):
            both = inside & np.roll(inside, -1, axis - 1)
            both[(slice(None),) * (axis - 1) + (-1,)] = False
            step = np.square(np.abs(np.roll(Z, -1, axis) - Z)) * both
            pairs = np.maximum(_blocks(both.astype(np.float32), rows, columns), 1e-9)
            change = np.asarray([_blocks(part, rows, columns) for part in step]) / pairs
            # |Z(r + d) - Z(r)|^2 = 2 |Z|^2 (1 - cos kd), and of noise what is not alike.
            turned = change / 2 - self.noise * (1 - self.alike)
            cosine = 1 - np.clip(turned / np.maximum(strength, 1e-30), 0, 2)
            square += np.square(np.arccos(cosine) / _LAG)
        told = (strength > self.noise) & (share > 0.5)
        return square[told], (strength * share)[told]


def _blocks(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return means over squares."""
    return cv2.resize(image.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)


def shortest_wavelength(square: Float64, power: Float64) -> float:
    """Return the wavelength in px below which hardly any of the power is; NaN of nothing."""
    if not square.size or power.sum() <= 0:
        return float("nan")
    order = np.argsort(square)[::-1]
    passed = np.cumsum(power[order]) / power.sum()
    largest = square[order[np.searchsorted(passed, _SHORTER)]]
    return float(2 * np.pi / np.sqrt(max(largest, 1e-12)))


def natural_binning(wavelength: float, frame: tuple[int, int]) -> int:
    """Return the largest power of two by which a grid may be reduced for a wavelength in px.

    `SAMPLES` are left of it, and as many squares of a frame (y, x) as the network looks over.

    Examples
    --------
    >>> [natural_binning(length, (512, 512)) for length in (20.0, 50.0, 100.0, float("nan"))]
    [1, 2, 4, 1]
    >>> natural_binning(130.0, (256, 256))
    2
    """
    factor, most = 1, min(COARSEST, min(frame) // _SQUARES)
    while 2 * factor <= most and wavelength >= 2 * factor * SAMPLES:
        factor *= 2
    return factor

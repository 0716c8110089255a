r"""Speed and direction of the fronts of a wave from its phase, summed over regions tile by tile.

Where the complex wave is :math:`Z \sim A \exp(i(\omega t - k\cdot r))`, its phase advances by
:math:`\omega \Delta t` from frame to frame and turns by :math:`|k| L` along a chord of length
:math:`L` across the fronts; the front that is at a pixel has moved on by
:math:`\omega \Delta t / |k|` in the second frame. Both phases are those of products of amplitudes
that are summed over cells of 16 px, so nothing is unwrapped and strong pixels decide.

The chord lies across the fronts in each pixel, so rings do not cancel, and it is a third of a
wavelength long, so that the noise at its ends differs and pulls the phase nowhere. The wave was
smoothed by a Gaussian of sigma :math:`s`; where the curvature of its envelope is
:math:`(\ln A)''` that makes the wavenumber :math:`k (1 + s^2 (\ln A)'')`, 5 % too small at the edge
of a flake. This is divided out. Nearer than a wavelength to a point from which rings spread,
nothing is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.spectrum import mean_wavevector, smooth, smoothing_halo
from uemdask.spectrum.harmonics import RADIAN_PER_GHZ_PS

CELL_PX = 16
"""Side of the cells in which products of amplitudes are summed, px."""

PATCH_PX = 32
"""Side of the patches that tell the error, px."""

_RATIO_PX = 64  # side of the patches whose speed is a ratio of sums: a smaller one's is too noisy

_NEIGHBOURHOOD_PX = 21  # side of the square that must be relevant
_LEAST_RELEVANT = 0.9  # of it: 8 px from a straight edge, and single holes do not matter

PATCH_QUANTITIES = (
    "pixels",  # that count
    "advance",  # rad/ps, sum over these pixels
    "wavenumber",  # rad/nm, likewise
    "cos",  # of the direction, anticlockwise from +x as displayed
    "sin",
)
PAIR_QUANTITIES = (
    *PATCH_QUANTITIES,
    "speed",  # nm/ps, of the pixel's patch of 64 px
    "power_from",  # square of the real wave in the first frame, over the relevant pixels
    "power_to",  # in the second
    "energy_to",  # square of the complex wave in the second
)

_DIRECTION_SIGMA = 4.0  # px, of the mean of the fronts' direction
_ENVELOPE_SIGMA = 3.0  # px
_COHERENT = 0.5  # of a cell's chords: less where fronts cross, or at the middle of rings
_CHORD = 1 / 6  # half of it, in wavelengths
_CHORD_PX = (3.0, 12.0)  # its bounds: beyond the correlation of the noise, and within the halo
_LARGEST_CURVATURE = 0.3  # of the relative correction

FRONT_HALO = smoothing_halo(_DIRECTION_SIGMA) + int(_CHORD_PX[1]) + 4
"""Pixels of neighbourhood that a tile needs on each side, px."""


@dataclass
class FrontSums:
    """Sums over regions of the phases of a wave.

    Attributes
    ----------
    pair : ndarray of float64, (quantity, roi, pair)
        In the order of `PAIR_QUANTITIES`.
    patch : ndarray of float64, (quantity, roi, slab, row, column)
        Sums over the pairs of a slab and the cells of a patch, in the order of `PATCH_QUANTITIES`.
    """

    pair: npt.NDArray[np.float64]
    patch: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, rois: int, pairs: int, slabs: int, shape: tuple[int, int]) -> FrontSums:
        """Return the sums of nothing, for a frame of `shape` px."""
        rows, columns = (-(-size // PATCH_PX) for size in shape)
        return cls(
            np.zeros((len(PAIR_QUANTITIES), rois, pairs)),
            np.zeros((len(PATCH_QUANTITIES), rois, slabs, rows, columns)),
        )

    def add(self, part: FrontSums, *, first_pair: int, slab: int, origin: tuple[int, int]) -> None:
        """Add the sums of a tile that starts at the pixel `origin` (y, x) and holds one slab."""
        self.pair[:, :, first_pair : first_pair + part.pair.shape[2]] += part.pair
        row, column = (start // PATCH_PX for start in origin)
        rows, columns = part.patch.shape[-2:]
        self.patch[:, :, slab, row : row + rows, column : column + columns] += part.patch[:, :, 0]


def away_from_rims(relevant: np.ndarray) -> npt.NDArray[np.bool_]:
    """Relevant pixels (y, x) that are not at the rim of the frame or of the relevant part.

    There, smoothing saw the mirror image of the wave, or half a wave.

    Examples
    --------
    >>> away_from_rims(np.ones((64, 32), bool)).sum(axis=0)[:10].tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 44, 46]
    """
    size = (_NEIGHBOURHOOD_PX, _NEIGHBOURHOOD_PX)
    share = cv2.boxFilter(
        np.asarray(relevant, np.float32), -1, size, borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(relevant & (share >= _LEAST_RELEVANT))


@dataclass(frozen=True)
class _Chords:
    """Where a pixel's chord ends, and what turns a phase along it into a wavenumber."""

    low: npt.NDArray[np.intp]  # flat index of its first end, (y, x)
    high: npt.NDArray[np.intp]
    inside: npt.NDArray[np.bool_]  # both ends are, and fronts bend little
    turn: npt.NDArray[np.complex64]  # takes out the phase that is expected
    static: npt.NDArray[np.float32]  # (6, y, x): see `front_sums`


def front_sums(
    Z: np.ndarray,
    pairs: np.ndarray,
    delays: np.ndarray,
    valid: np.ndarray,
    relevant: np.ndarray,
    rois: np.ndarray,
    counted: np.ndarray,
    *,
    frequency: float,
    wavelength_px: float,
    pixel_size: tuple[float, float],
    smoothing: float,
    noise: float = 0.0,
    inner: tuple[slice, slice] | None = None,
) -> FrontSums:
    """Sum the phases of the fronts of one tile over regions.

    Parameters
    ----------
    Z : ndarray of complex64, (frame, y, x)
        Complex wave of the tile with `FRONT_HALO` px around it, or to the edge of the frame; the
        phase advances with time.
    pairs : ndarray of int, (pair, 2)
        Frames of each pair, as places in `Z`.
    delays : ndarray, (frame,)
        ps.
    valid : ndarray of bool, (pair, y, x) of the tile
        Where a speed means something.
    relevant : ndarray of bool, (y, x) of the tile with its halo
        Relevant pixels; what lies outside them is not looked at.
    rois, counted : ndarray of bool, (roi, y, x) of the tile
        Pixels of each region, and those of them that count where they are valid.
    frequency : float
        Of the wave, GHz.
    wavelength_px : float
        About, px; sets the length of the chords.
    pixel_size : tuple of float
        (y, x), nm.
    smoothing : float
        Sigma of the Gaussian that the wave was smoothed with, px.
    noise : float
        Standard deviation of the wave's noise, unit 1.
    inner : (slice, slice), optional
        The tile within `Z`; all of it by default. Tiles start at multiples of `PATCH_PX`.

    Returns
    -------
    FrontSums
        Of the pairs as one slab.

    Raises
    ------
    UemError
        If shapes do not fit.

    Examples
    --------
    A wave of 20 GHz and 60 nm, so of 1.2 nm/ps, that goes to the right.

    >>> import numpy as np
    >>> x, t = 3.0 * np.arange(64), 5.0 * np.arange(3)
    >>> phase = 2e-3 * np.pi * 20 * t[:, None] - 2 * np.pi * x / 60
    >>> Z = np.exp(1j * np.repeat(phase[:, None], 64, 1)).astype(np.complex64)
    >>> ones = np.ones((2, 64, 64), bool)
    >>> sums = front_sums(Z, np.array([[0, 1], [1, 2]]), t, ones, ones[0], ones[:1], ones[:1],
    ...     frequency=20.0, wavelength_px=20.0, pixel_size=(3.0, 3.0), smoothing=0.0)
    >>> (sums.pair[1, 0] / sums.pair[2, 0]).round(3).tolist()
    [1.2, 1.2]
    """
    inner = inner or (slice(0, Z.shape[1]), slice(0, Z.shape[2]))
    shape = (inner[0].stop - inner[0].start, inner[1].stop - inner[1].start)
    if (
        valid.shape != (len(pairs), *shape)
        or relevant.shape != Z.shape[1:]
        or rois.shape[1:] != shape
        or counted.shape != rois.shape
    ):
        raise UemError(
            f"fronts: found a wave {Z.shape}, valid {valid.shape}, relevant {relevant.shape}, "
            f"rois {rois.shape}, counted {counted.shape} for a tile of {shape} px and "
            f"{len(pairs)} pairs"
        )
    sums = FrontSums.empty(len(rois), len(pairs), 1, shape)
    _add_powers(sums, Z[:, *inner], pairs, rois & relevant[inner])
    told = np.flatnonzero((valid & counted.any(axis=0)).any(axis=(1, 2)))
    if not told.size:
        return sums
    Z = np.where(relevant, Z, np.complex64(0))
    chords = _chords(
        Z[np.unique(pairs[told, 1])],
        inner,
        half=float(np.clip(_CHORD * wavelength_px, *_CHORD_PX)),
        sharpest=1 / wavelength_px,
        pixel_size=pixel_size,
        smoothing=smoothing,
        noise=noise,
    )
    for pair in told:
        first, second = (Z[frame] for frame in pairs[pair])
        step = float(delays[pairs[pair, 1]] - delays[pairs[pair, 0]])
        expected = RADIAN_PER_GHZ_PS * frequency * step
        advance = first[inner].conj() * second[inner] * np.complex64(np.exp(-1j * expected))
        flat = second.ravel()
        along = flat[chords.low].conj() * flat[chords.high] * chords.turn
        weight = np.abs(along)
        layers = np.stack(
            [
                np.ones(shape, np.float32), advance.real, advance.imag, along.real, along.imag,
                weight, *(weight * chords.static),
            ]
        )  # fmt: skip
        use = valid[pair] & chords.inside
        for region in np.flatnonzero((use & counted).any(axis=(1, 2))):
            cells = _block_sums(np.where(use & counted[region], layers, 0), CELL_PX)
            _add_cells(sums, int(region), int(pair), cells, expected, step)
    return sums


def _add_powers(sums: FrontSums, Z: np.ndarray, pairs: np.ndarray, inside: np.ndarray) -> None:
    """Add the power of the wave in both frames of each pair."""
    used = np.unique(pairs)
    real, energy = (np.zeros((len(inside), len(Z))) for _ in range(2))
    for frame in used:
        squares = np.square(Z[frame].real), np.square(np.abs(Z[frame]))
        for region, pixels in enumerate(inside):
            real[region, frame], energy[region, frame] = (
                float(square[pixels].sum(dtype=np.float64)) for square in squares
            )
    sums.pair[6], sums.pair[7] = real[:, pairs[:, 0]], real[:, pairs[:, 1]]
    sums.pair[8] = energy[:, pairs[:, 1]]


def _chords(
    Z: np.ndarray,
    inner: tuple[slice, slice],
    *,
    half: float,
    sharpest: float,
    pixel_size: tuple[float, float],
    smoothing: float,
    noise: float,
) -> _Chords:
    """Lay a chord across the fronts through each pixel of a tile."""
    k = mean_wavevector(Z, sigma=_DIRECTION_SIGMA, lag=2 * max(round(half), 2))
    size = np.maximum(np.hypot(*k), np.float32(1e-6))
    normal = k / size
    curvature = np.ones_like(size)
    if smoothing > 0:
        curvature += np.clip(
            smoothing**2 * _envelope_curvature(Z, normal, noise),
            -_LARGEST_CURVATURE,
            _LARGEST_CURVATURE,
        )
    to_nm = np.stack([normal[0] / pixel_size[1], normal[1] / pixel_size[0]])
    along_x, along_y = np.rint(half * normal).astype(np.intp)
    # Whole pixels: between them, interpolation would shift the phase.
    lever = 2 * (normal[0] * along_x + normal[1] * along_y)
    expected = 2 * (k[0] * along_x + k[1] * along_y)
    height, width = Z.shape[1:]
    y, x = np.mgrid[:height, :width]
    inside = (
        (y >= np.abs(along_y)) & (y < height - np.abs(along_y))
        & (x >= np.abs(along_x)) & (x < width - np.abs(along_x))
    )  # fmt: skip
    bend = np.gradient(normal[0], axis=1) + np.gradient(normal[1], axis=0)
    inside &= np.abs(smooth(np.asarray(bend, np.float32), _DIRECTION_SIGMA)) < sharpest
    ends = []
    for sign in (-1, 1):
        at_y = np.clip(y + sign * along_y, 0, height - 1)
        ends.append((at_y * width + np.clip(x + sign * along_x, 0, width - 1))[inner])
    # Summed with the cell's amplitudes these give the wavenumber expected (rad/px), the lever (px),
    # the correction, what takes 1/px to 1/nm across the fronts, and their direction.
    static = np.stack([size, lever, curvature, np.hypot(*to_nm), *to_nm])
    return _Chords(
        low=ends[0],
        high=ends[1],
        inside=inside[inner],
        turn=np.exp(1j * expected[inner]).astype(np.complex64),
        static=static[:, *inner].astype(np.float32),
    )


def _envelope_curvature(Z: np.ndarray, normal: np.ndarray, noise: float) -> npt.NDArray[np.float32]:
    """Second derivative of the logarithm of the amplitude across the fronts, 1/px^2."""
    power = sum((np.square(np.abs(frame)) for frame in Z), np.zeros(Z.shape[1:], np.float32))
    power /= len(Z)
    floor = max(noise**2, 1e-6 * float(power.max()), 1e-30)
    envelope = np.log(np.maximum(smooth(power, _ENVELOPE_SIGMA), np.float32(floor))) / 2
    slope_y, slope_x = np.gradient(envelope)
    (yy, yx), (xy, xx) = np.gradient(slope_y), np.gradient(slope_x)
    n_x, n_y = normal
    return np.asarray(n_x * n_x * xx + n_y * n_y * yy + n_x * n_y * (xy + yx), np.float32)


def _block_sums(layers: np.ndarray, edge: int) -> npt.NDArray[np.float64]:
    rows, columns = (np.arange(0, size, edge) for size in layers.shape[-2:])
    part = np.add.reduceat(layers, rows, axis=-2, dtype=np.float64)
    return np.asarray(np.add.reduceat(part, columns, axis=-1))


def _add_cells(
    sums: FrontSums, region: int, pair: int, cells: np.ndarray, expected: float, step: float
) -> None:
    """Turn the phases of cells into rates and wavenumbers, and add them to the sums."""
    count, on_re, on_im, along_re, along_im, weight = cells[:6]
    coherent = np.hypot(along_re, along_im) > _COHERENT * weight
    known = (count > 0) & (weight > 0) & coherent
    scale = np.where(known, weight, 1.0)
    k_px, lever, curvature, to_nm, to_x, to_y = (layer / scale for layer in cells[6:])
    advance = (expected + np.arctan2(on_im, on_re)) / step
    # exp(-i k r): the phase turns backwards along the way the wave goes.
    rest = -np.arctan2(along_im, along_re) / np.maximum(lever, 1.0)
    wavenumber = (k_px + rest) * to_nm / np.maximum(curvature, 1 - _LARGEST_CURVATURE)
    length = np.hypot(to_x, to_y)
    known &= (wavenumber > 0) & (advance > 0) & (length > 0)
    n = np.where(known, count, 0.0)
    safe = np.where(length > 0, length, 1.0)
    values = [n, n * advance, n * wavenumber, n * to_x / safe, -n * to_y / safe]
    per_cell = np.stack(values)
    n, advance, wavenumber = _block_sums(per_cell[:3], _RATIO_PX // CELL_PX)
    speed = np.divide(n * advance, wavenumber, out=np.zeros_like(n), where=wavenumber > 0)
    sums.patch[:, region, 0] += _block_sums(per_cell, PATCH_PX // CELL_PX)
    totals = per_cell.sum(axis=(1, 2))
    sums.pair[: len(totals), region, pair] = totals
    sums.pair[len(totals), region, pair] = speed.sum()

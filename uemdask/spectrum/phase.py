"""Displacement, wavelength and kind of motion from the phase of complex waves.

Conventions: ``Z ~ exp(i (w t - k.r))`` for a wave travelling along ``k`` (see
:mod:`uemdask.spectrum.harmonics`); components in the order x, y; y downwards;
``first(r) = second(r + flow(r))``.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.spectrum.grid import Means
from uemdask.spectrum.harmonics import Complex64, Float32
from uemdask.spectrum.smoothing import LEAST_SHARE, smooth

_TINY = np.float32(1e-30)

# Noise that was smoothed differs this many standard deviations of the smoothing apart.
_LAG = 3.0
# Averages this much wider hold where nothing else can be told, and are taken off first elsewhere:
# what is left of a wave vector that changes over the frame is small then.
_WIDER = 2.0
# Relative error of a wave vector, from noise, beyond which it is better averaged wider ...
_PRECISE = 0.008
# ... unless it differs from the wider average by more than noise does, this many times in square.
_DIFFERENT = 3.0
# Variance of the wave vector in units of scatter x (smoothing / (lag x sigma x share of the window
# that is known))^2, as white noise of 0.3 to 2 times the wave gives it through the smoothing.
_NOISE_GAIN = 0.15
# Smoothing over an edge is felt this many standard deviations inside.
_RIM = 3.0


def local_wavevector(Z: Complex64, *, sigma: float = 8.0, smoothing: float = 2.0) -> Float32:
    """Local wave vector, from the phase differences of neighbours weighted by amplitude.

    No unwrapping: each difference is half the angle of ``(conj(Z(r)) Z(r + 1))**2`` averaged over
    the neighbourhood, so strong pixels decide, zeros of the wave do no harm, and neither does a
    contrast that is reversed across a line: the square has no sign.

    Where noise hides it by more than a hundredth, as in dim places and at edges, and nothing shows
    that it changes there, the average is twice as wide.

    Z was smoothed, and that leaves three traces.  Noise is alike in neighbours and pulls the wave
    vector towards zero; so pixels further apart then correct it.  Next to the edge of the frame and
    of unlit pixels (exactly 0) the phase is that of pixels further inside; so a rim has no say.
    Where the amplitude bends, as at the border of a wave, the phase leans towards the stronger
    side; that grows with the square of the smoothing, so smoothing once more tells how much to take
    off.

    Parameters
    ----------
    Z : ndarray, shape (y, x), complex64
        Complex amplitude, or one frame of :func:`uemdask.spectrum.wave.analytic_wave`.
    sigma : float
        Standard deviation of the average, px.
    smoothing : float
        Standard deviation, px, by which Z was smoothed; 0 if it was not.

    Returns
    -------
    ndarray, shape (2, y, x), float32
        (kx, ky), rad/px, along the direction of travel.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(40, dtype=np.float32)
    >>> Z = np.exp(-0.2j * np.broadcast_to(x, (40, 40))).astype(np.complex64)
    >>> local_wavevector(Z)[0, 20, 20].round(3)
    np.float32(0.2)
    """
    _check_map(Z)
    means = Means(Z.shape, sigma)
    return means.spread(_mean_wavevector(Z, means, smoothing))


def _mean_wavevector(Z: Complex64, means: Means, smoothing: float) -> Float32:
    """Return the local wave vector (2, y, x) on the grid of some means."""
    if smoothing <= 0:
        return _neighbouring(Z[None], means)
    lag = 2 * int(np.ceil(_LAG * smoothing / 2))
    inside = _inside(Z, smoothing)
    once, scatter = _wavevectors((Z * inside)[None], means, lag)
    twice, _ = _wavevectors((smooth(Z, smoothing) * inside)[None], means, lag)
    near, wide = 2 * once - twice
    share = np.maximum(means(inside), LEAST_SHARE)
    noise = _NOISE_GAIN * scatter * np.square(smoothing / (lag * means.sigma * share))
    change = near - wide
    found = means.again(np.sum(np.square(change), axis=0), _WIDER) - _DIFFERENT * noise
    told = np.maximum(found, np.sum(np.square(_PRECISE * wide), axis=0))
    told, noise = np.square(told), np.square(noise)
    return np.asarray(wide + change * told / np.maximum(told + noise, _TINY), np.float32)


def mean_wavevector(frames: Complex64, *, sigma: float, lag: int) -> Float32:
    """Wave vector of frames of one wave, from all of them together.

    As `local_wavevector`, from pixels `lag` apart, without what it takes off for the smoothing.

    Parameters
    ----------
    frames : ndarray, shape (frame, y, x), complex64
        0 where nothing is known.
    sigma : float
        Standard deviation of the average, px.
    lag : int
        Even, px.

    Returns
    -------
    ndarray, shape (2, y, x), float32
        (kx, ky), rad/px, along the direction of travel.
    """
    means = Means(frames.shape[1:], sigma)
    (near, _), _ = _wavevectors(frames, means, lag)
    return means.spread(near)


def _neighbouring(frames: Complex64, means: Means, wider: float = 1.0) -> Float32:
    """Mean wave vector (2, y, x) of neighbours one pixel apart in all frames."""
    k = []
    for axis in (1, 0):
        products = sum(_doubled(_neighbours(Z, axis)) for Z in frames)
        k.append(-np.angle(means(np.asarray(products, np.complex64), wider)) / 2)
    return np.stack(k)


def _wavevectors(frames: Complex64, means: Means, lag: int) -> tuple[Float32, Float32]:
    """Mean wave vectors (near or wide, 2, y, x) of pixels `lag` apart (even), 0 at the edge.

    That of neighbours takes most of the turn off, so there is nothing to unwrap. Also returns how
    the rest scatters, (y, x), 0..1.
    """
    first = _neighbouring(frames, means, _WIDER)
    turns = means.spread(first * lag)
    k = np.stack([first, first])
    scatter = np.zeros(first.shape[1:], np.float32)
    for component, axis in enumerate((1, 0)):
        rest = np.zeros(frames.shape[1:], np.complex64)
        middle, low, high = (
            tuple(part if each == axis else slice(None) for each in (0, 1))
            for part in (slice(lag // 2, -(lag // 2)), slice(None, -lag), slice(lag, None))
        )
        turn = _turn(turns[component][middle])
        for Z in frames:
            rest[middle] += _doubled(Z[low].conj() * Z[high] * turn)
        near, wide = means(rest), means(rest, _WIDER)
        k[0, component] -= np.angle(near) / (2 * lag)
        k[1, component] -= np.angle(wide) / (2 * lag)
        most = np.maximum(means(np.abs(rest)), _TINY)
        scatter += (1 - np.minimum(np.abs(near) / most, 1)) / 2
    return k, scatter


def _turn(angle: Float32) -> Complex64:
    """``exp(i angle)``, without the slow complex exponential."""
    turn = np.empty(angle.shape, np.complex64)
    turn.real, turn.imag = np.cos(angle), np.sin(angle)
    return turn


def _inside(Z: Complex64, smoothing: float) -> Float32:
    """1, and 0 where the smoothing of Z reached over the edge of the frame or of the unlit."""
    rim_y, rim_x = (min(round(_RIM * smoothing), (size - 1) // 4) for size in Z.shape)
    reach = np.ones((2 * rim_y + 1, 2 * rim_x + 1), np.uint8)
    known = (Z != 0).astype(np.uint8)
    inside = cv2.erode(known, reach, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return inside.astype(np.float32)


def _doubled(product: Complex64) -> Complex64:
    """Twice the angle, which has no sign to lose.

    The weight is the amplitude to the third: more, and strong places that do not travel decide;
    less, and what is left of a reversed contrast has a say.
    """
    power = np.sqrt(np.maximum(np.abs(product), _TINY))
    return np.asarray(product**2 / power, np.complex64)


def wavelength(wavevector: Float32) -> Float32:
    """Wavelength in px.

    Parameters
    ----------
    wavevector : ndarray, shape (2, ...)
        rad/px.

    Returns
    -------
    ndarray, shape (...), float32
        Infinite where the wave vector is zero.
    """
    size = np.hypot(wavevector[0], wavevector[1])
    with np.errstate(divide="ignore"):
        return np.asarray(np.float32(2 * np.pi) / size, dtype=np.float32)


def travel_index(Z: Complex64, *, sigma: float = 8.0) -> Float32:
    """How much of the local motion travels: 1 travelling, 0 standing or breathing.

    ``|<Im(conj Z grad Z)>| / sqrt(<|Z|^2> <|grad Z|^2>)``: the energy flow over the most that
    amplitude and gradient could carry.

    Parameters
    ----------
    Z : ndarray, shape (y, x), complex64
        Complex amplitude.
    sigma : float
        Standard deviation of the average, px; about a quarter of a wavelength or more.

    Returns
    -------
    ndarray, shape (y, x), float32
        Between 0 and 1.  Pixels that are exactly 0, as unlit ones are, have no say.
    """
    _check_map(Z)
    means = Means(Z.shape, sigma)
    return means.spread(_mean_travel(Z, means))


def _mean_travel(Z: Complex64, means: Means) -> Float32:
    """Return the travel index (y, x) on the grid of some means."""
    # A step to a pixel without a value is no slope of the wave.
    known = cv2.erode((Z != 0).astype(np.float32), np.ones((3, 3), np.uint8))
    current = []
    gradient = np.zeros(Z.shape, dtype=np.float32)
    for axis in (1, 0):
        slope = _slope(Z, axis) * known
        gradient += np.square(slope.real) + np.square(slope.imag)
        current.append(means((Z.conj() * slope).imag))
    energy = (np.square(Z.real) + np.square(Z.imag)) * known
    most = np.sqrt(means(energy) * means(gradient))
    index = np.hypot(current[0], current[1]) / np.maximum(most, _TINY)
    return np.clip(index, 0, 1, out=index)


def _slope(Z: Complex64, axis: int) -> Complex64:
    """Central difference, as `numpy.gradient`, in single precision."""
    moved, out = np.moveaxis(Z, axis, 0), np.empty_like(Z)
    slope = np.moveaxis(out, axis, 0)
    np.subtract(moved[2:], moved[:-2], out=slope[1:-1])
    slope[1:-1] *= np.float32(0.5)
    slope[0], slope[-1] = moved[1] - moved[0], moved[-1] - moved[-2]
    return out


def phase_flow(
    first: Complex64,
    second: Complex64,
    *,
    phase_step: float = 0.0,
    sigma: float = 8.0,
    smoothing: float = 2.0,
    refinements: int = 1,
) -> tuple[Float32, Float32]:
    """Displacement of the wavefronts between two complex frames.

    The fronts have moved by the phase difference over the wave number, along their normal:
    ``flow = dphi k / |k|^2`` with the wave vector of the second frame.  This is exact for a plane
    wave.  Each refinement takes the wave vector half-way along the displacement instead, which
    is exact to second order where the wavelength changes over the frame.

    Parameters
    ----------
    first, second : ndarray, shape (y, x), complex64
        Analytic waves of the two frames.
    phase_step : float
        Phase advance expected, ``2 pi f dt 1e-3`` rad; the measured one is taken within half a
        turn of it.  So a displacement of more than half a wavelength comes out right.
    sigma : float
        Standard deviation, px, of the averages that give phase step, wave vector and confidence.
        An eighth of a wavelength is a good choice; more for a dim plane wave.
    smoothing : float
        As in :func:`local_wavevector`.
    refinements : int
        0 leaves the first guess.

    Returns
    -------
    flow : ndarray, shape (2, y, x), float32
        ``first(r) = second(r + flow(r))``, px, components x, y.  Zero where there is no wave.
    confidence : ndarray, shape (y, x), float32
        0..1: local agreement of the phase step, times the travel index.
    """
    _check_map(first)
    if first.shape != second.shape:
        raise UemError(f"phase_flow: frames of shapes {first.shape} and {second.shape}.")
    means = Means(first.shape, sigma)
    k = _mean_wavevector(second, means, smoothing)
    # Wavelengths beyond twice the frame cannot be told from none.
    smallest = np.pi / max(first.shape)
    turn = np.complex64(np.exp(-1j * phase_step))
    # The phase step changes slowly over the frame, so its noise can be averaged away.
    step = means((second * first.conj() * turn).astype(np.complex64))
    advance = np.float32(phase_step) + np.angle(step)
    flow = advance * _inverse(k, smallest)
    y, x = np.mgrid[: k.shape[1], : k.shape[2]].astype(np.float32)
    for _ in range(refinements):
        half_way = (x + flow[0] / (2 * means.edge), y + flow[1] / (2 * means.edge))
        nearby = [
            cv2.remap(part, *half_way, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for part in k
        ]
        flow = advance * _inverse(np.stack(nearby), smallest)

    energy = means(_square(first)) * means(_square(second))
    agreement = np.abs(step) / np.maximum(np.sqrt(energy), _TINY)
    confidence = np.clip(agreement, 0, 1) * _mean_travel(first + second * turn, means)
    flow = means.spread(flow) * ((first != 0) & (second != 0))
    return flow.astype(np.float32, copy=False), means.spread(confidence)


def _check_map(Z: npt.NDArray[np.generic]) -> None:
    if Z.ndim != 2 or Z.dtype != np.complex64 or min(Z.shape) < 3:
        raise UemError(
            f"phase: found {Z.dtype} of shape {Z.shape}; give a complex64 map (y, x) of at least "
            "3 pixels a side."
        )


def _neighbours(Z: Complex64, axis: int) -> Complex64:
    """``conj(Z(r)) Z(r + 1)`` along an axis, brought back to the pixels."""
    ahead = np.moveaxis(Z, axis, 0)
    product = ahead[:-1].conj() * ahead[1:]
    centred = np.empty_like(ahead)
    centred[1:-1] = product[:-1] + product[1:]
    centred[0], centred[-1] = 2 * product[0], 2 * product[-1]
    return np.ascontiguousarray(np.moveaxis(centred, 0, axis))


def _square(Z: Complex64) -> Float32:
    return np.asarray(np.square(Z.real) + np.square(Z.imag), np.float32)


def _inverse(k: Float32, smallest: float) -> Float32:
    """``k / |k|^2``, zero where the wave vector is too short to be one."""
    square = k[0] ** 2 + k[1] ** 2
    return np.where(square > smallest**2, k / np.maximum(square, _TINY), np.float32(0))

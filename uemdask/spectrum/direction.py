"""Keep the wave that travels one way and drop the one that comes back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import distance_transform_edt
from scipy.special import ndtr

from uemdask.errors import UemError
from uemdask.spectrum.harmonics import Complex64, Float32
from uemdask.spectrum.phase import local_wavevector, travel_index
from uemdask.spectrum.smoothing import smooth

#: Sigma of the local direction, px.
DIRECTION_SIGMA = 16.0

# Half-planes computed; the two nearest to each pixel's direction are blended.
_HALF_PLANES = 8
# Travel index from which the energy flow is known; that of standing waves is below 0.12.
_LEAST_FLOW = 0.2
_TINY = np.float32(1e-30)


def directional_filter(
    Z: Complex64,
    direction: float | Float32 | None = None,
    *,
    wave_number: float | None = None,
    sigma: float = DIRECTION_SIGMA,
) -> Complex64:
    """Part of a complex map that travels into the half-plane about a direction.

    A reflected wave turns the phase of the sum into ripples; its wave vector lies in the
    opposite half-plane, so it can be cut off in the spatial spectrum.  The cut is soft, over a
    third of the wave number, so what happens at an edge reaches about half a wavelength only;
    there the wave is continued with its wave vector at the edge.

    Parameters
    ----------
    Z : ndarray, shape (..., y, x), complex64
        Complex amplitude, or frames of :func:`uemdask.spectrum.wave.analytic_wave`.
    direction : float or ndarray of shape (y, x), optional
        Direction of travel, degrees anticlockwise from +x of the displayed image.  An array lets
        it change over the frame (rings).  By default the direction of the local energy flow.
    wave_number : float, optional
        Of the wave, rad/px; by default the amplitude-weighted mean of the local one.
    sigma : float
        Standard deviation, px, of the averages behind the two defaults; about a quarter of a
        wavelength or more, so that ripples even out.

    Returns
    -------
    ndarray, same shape, complex64
        0 where `Z` is exactly 0, as unlit pixels are.

    Raises
    ------
    UemError
        If the array is not complex64.
    """
    if Z.ndim < 2 or Z.dtype != np.complex64:
        raise UemError(f"directional_filter: found {Z.dtype} of shape {Z.shape}; give complex64.")
    if Z.ndim > 2:
        out = np.empty_like(Z)
        for index in np.ndindex(Z.shape[:-2]):
            out[index] = directional_filter(
                Z[index], direction, wave_number=wave_number, sigma=sigma
            )
        return out
    k = local_wavevector(Z, sigma=sigma)
    if direction is None:
        direction = np.degrees(np.arctan2(-k[1], k[0])).astype(np.float32)
    if wave_number is None:
        weight = np.abs(Z) ** 2
        total = float(weight.sum())
        wave_number = float((weight * np.hypot(k[0], k[1])).sum() / total) if total > 0 else 0.0
    if wave_number <= 0:
        return Z.copy()
    # A wave that hardly travels has no wave number to speak of; a frame's width is enough for it.
    margin = int(np.ceil(min(2 * np.pi / wave_number, max(Z.shape))))
    wide = _continued(Z, k, margin)
    return _filter(wide, np.asarray(direction, dtype=np.float32), wave_number, margin) * (Z != 0)


def opposed_power(Z: Complex64, *, sigma: float = DIRECTION_SIGMA) -> Float32:
    """Local mean of the power that travels against the direction of the wave.

    Of a lone travelling wave next to nothing does; of one with a reflected wave of 35 % amplitude
    a tenth; of a standing or breathing one a third or more. Within half a wavelength of the edge of
    the map the number is too large.

    A contrast that changes or is reversed over the frame also spreads the spectrum of a lone wave
    into the opposite half-plane. Its energy flow tells: it is strong where the wave is, while past
    the ripples of two waves against each other it is even. The smaller of both powers counts.

    Parameters
    ----------
    Z : ndarray, shape (y, x), complex64
        Complex amplitude.
    sigma : float
        As in `directional_filter`, px.

    Returns
    -------
    ndarray, shape (y, x), float32
        In the unit of Z squared.

    Examples
    --------
    >>> import numpy as np
    >>> phase = 0.3 * np.broadcast_to(np.arange(128.0), (128, 128))
    >>> Z = (np.exp(-1j * phase) + 0.35 * np.exp(1j * phase)).astype(np.complex64)
    >>> share = opposed_power(Z)[32:-32, 32:-32].mean() / np.abs(Z[32:-32, 32:-32] ** 2).mean()
    >>> round(float(share), 2)  # 0.35**2 / (1 + 0.35**2)
    0.11
    """
    left = Z - directional_filter(Z, sigma=sigma)
    opposed = np.square(left.real) + np.square(left.imag)
    opposed = smooth(opposed, sigma)
    # Where little travels there is no flow to ask.
    asked = travel_index(Z, sigma=sigma) > _LEAST_FLOW
    return np.where(asked, np.minimum(opposed, _unmoved_ripple(Z, sigma)), opposed)


def _unmoved_ripple(Z: Complex64, sigma: float) -> Float32:
    """Power of a second wave that ripples the energy but not its flow, local mean.

    ``|a exp(-iks) + b exp(iks)|**2`` ripples by ``2 a b cos(2 k s)`` about its mean, while the flow
    is ``k (a**2 - b**2)``; so half the variance that the flow does not follow is ``a**2 b**2``:
    ``s (1 - s)`` of the mean squared, ``s`` being the second wave's share of the power.
    """
    energy = np.square(Z.real) + np.square(Z.imag)
    flow = [-(Z.conj() * np.gradient(Z, axis=axis)).imag.astype(np.float32) for axis in (1, 0)]
    mean = smooth(energy, sigma)
    mean_flow = [smooth(np.ascontiguousarray(part), sigma) for part in flow]
    size = np.maximum(np.hypot(*mean_flow), _TINY)
    along = sum(part * mean_part for part, mean_part in zip(flow, mean_flow, strict=True)) / size
    # The flow in the unit of the energy: over the mean wave number.
    unmoved = energy - along * mean / size
    covariance = smooth(np.ascontiguousarray(unmoved * energy), sigma)
    share = np.clip(covariance / np.maximum(2 * mean**2, _TINY), 0, 0.25)
    return np.asarray(mean * (1 - np.sqrt(1 - 4 * share)) / 2, dtype=np.float32)


def _continued(Z: Complex64, k: Float32, margin: int) -> Complex64:
    """Let the wave run on beyond the edges and into unlit pixels, fading out over `margin` px.

    A mirror would send every wave back, and zeros would pull the phase at the edge.
    """
    height, width = Z.shape
    y, x = np.mgrid[-margin : height + margin, -margin : width + margin]
    edge_y, edge_x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    known = Z != 0
    if not known.all() and known.any():
        unknown = np.pad(~known, margin, constant_values=True)
        near = distance_transform_edt(unknown, return_distances=False, return_indices=True)
        edge_y, edge_x = near[0] - margin, near[1] - margin
    beyond_y, beyond_x = (y - edge_y).astype(np.float32), (x - edge_x).astype(np.float32)
    phase = k[0][edge_y, edge_x] * beyond_x + k[1][edge_y, edge_x] * beyond_y
    distance = np.minimum(np.hypot(beyond_y, beyond_x) / np.float32(margin), 1)
    fade = np.cos(np.float32(np.pi / 2) * distance) ** 2
    return (Z[edge_y, edge_x] * (fade * np.exp(-1j * phase))).astype(np.complex64)


def _filter(
    wide: Complex64, direction: npt.NDArray[np.float32], wave_number: float, margin: int
) -> Complex64:
    """Filter a map that is `margin` px wider than the result on each side."""
    inner = tuple(slice(margin, size - margin) for size in wide.shape)
    shape = [fft.next_fast_len(n) for n in wide.shape]
    spectrum = fft.fft2(wide, shape)
    qy = 2 * np.pi * fft.fftfreq(shape[0]).astype(np.float32)[:, None]
    qx = 2 * np.pi * fft.fftfreq(shape[1]).astype(np.float32)[None, :]

    def half_plane(angle: float) -> Complex64:
        # Z ~ exp(-i k.r): the wave along k sits at q = -k.  Displayed y points up, rows down.
        along = -(qx * np.cos(angle) - qy * np.sin(angle))
        kept = spectrum * ndtr(along / np.float32(wave_number / 3)).astype(np.float32)
        return fft.ifft2(kept)[inner].astype(np.complex64)

    if direction.ndim == 0:
        return half_plane(float(np.radians(direction)))
    spacing = 360.0 / _HALF_PLANES
    place = np.mod(direction, 360.0) / spacing
    out = np.zeros(direction.shape, np.complex64)
    for index in range(_HALF_PLANES):
        away = np.abs(np.mod(place - index + _HALF_PLANES / 2, _HALF_PLANES) - _HALF_PLANES / 2)
        weight = np.maximum(1 - away, 0).astype(np.float32)
        if weight.any():
            out += weight * half_plane(np.radians(index * spacing))
    return out

"""Where a speed means something."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.cube.contract import REASONS
from uemdask.errors import UemError

TRAVEL_THRESHOLD = 0.5
"""Travel index that calls a wave travelling: half way between 0.94 (travelling) and 0.12 (not)."""

NOISE_THRESHOLD = 2.0
"""Local wave amplitude over its noise from which a wave counts as present."""

DISPLACEMENT_LIMIT = 0.4
"""Displacement in wavelengths: beyond half a wavelength the direction is ambiguous."""

DISAGREEMENT_LIMIT = 0.12
"""Relative difference of two estimates of one displacement from which neither is trusted."""

AGREEMENT_SIGMA = 4.0
"""Sigma in px of the local means that are compared: wider than the noise, less than a wave."""

FIELD_LIMIT = 1.25
"""Wavelength in lengths of the field of view: a longer one shows too little phase gradient. Of real
recordings with a wavelength of ten fields, 8.5 % of the pixels passed at 2 and none at 1.25."""


_CODE = {reason: np.uint8(code) for code, reason in enumerate(REASONS)}


def invalid_reason(
    flow: np.ndarray,
    *,
    mask: np.ndarray,
    lit: np.ndarray | None = None,
    present: np.ndarray | None = None,
    travel: np.ndarray | None = None,
    amplitude_to_noise: np.ndarray | None = None,
    disagreement: np.ndarray | None = None,
    wavelength_px: float | np.ndarray | None = None,
    field_px: tuple[int, int] | None = None,
    travel_threshold: float = TRAVEL_THRESHOLD,
    noise_threshold: float = NOISE_THRESHOLD,
    displacement_limit: float = DISPLACEMENT_LIMIT,
    disagreement_limit: float = DISAGREEMENT_LIMIT,
    field_limit: float = FIELD_LIMIT,
) -> npt.NDArray[np.uint8]:
    """Why a displacement is not that of a travelling wave that is there.

    A pixel must be lit, relevant, travelling, have a wave at that time, move as another estimate
    says, by less than 0.4 wavelengths, and its wavelength must not exceed 1.25 times the field of
    view in its direction. A test whose input is not given is left out; NaN in an input fails its
    test.

    Parameters
    ----------
    flow : ndarray, (..., 2, y, x)
        Displacement in px, components ``[x, y]``.
    mask : ndarray of bool, (y, x)
        Relevant pixels.
    lit : ndarray of bool, (y, x), optional
        Pixels whose counts say something.
    present : ndarray of bool, (y, x) or (..., y, x), optional
        Where there is a wave at that time.
    travel : ndarray, (y, x) or (..., y, x), optional
        Travel index, 0..1.
    amplitude_to_noise : ndarray, (y, x) or (..., y, x), optional
        Local wave amplitude over the standard deviation of its noise.
    disagreement : ndarray, (y, x) or (..., y, x), optional
        Relative difference from another estimate of the displacement, see `disagreement`.
    wavelength_px : float or ndarray, (y, x) or (..., y, x), optional
        Local wavelength in px along the normal in pixel space.
    field_px : tuple of int, optional
        (y, x) size of the whole image in px; the flow's own size if not given. Give it when the
        flow is a tile.
    travel_threshold, noise_threshold, displacement_limit, disagreement_limit, field_limit : float
        Units: 1; 1; wavelengths; 1; lengths of the field of view.

    Returns
    -------
    ndarray of uint8, (..., y, x)
        Index in `REASONS`; 0 where the displacement is valid.

    Raises
    ------
    UemError
        If a shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> flow = np.array([[[3.0, 5.0]], [[0.0, 0.0]]])
    >>> code = invalid_reason(
    ...     flow, mask=np.ones((1, 2), bool), wavelength_px=10.0, field_px=(64, 64)
    ... )
    >>> code
    array([[0, 7]], dtype=uint8)
    """
    image = flow.shape[-2:]
    if flow.ndim < 3 or flow.shape[-3] != 2 or mask.shape != image:
        raise UemError(
            f"flow: found shape {flow.shape} with a mask of {mask.shape}; "
            "give (..., 2, y, x) and (y, x) of the same image size"
        )
    fx, fy = flow[..., 0, :, :], flow[..., 1, :, :]
    moved = np.hypot(fx, fy)
    found = np.zeros(moved.shape, np.uint8)

    def require(passed: npt.ArrayLike, reason: str) -> None:
        np.copyto(found, _CODE[reason], where=(found == 0) & ~np.asarray(passed))

    # Comparisons with NaN are false, so a missing number fails its test without a special case.
    if lit is not None:
        require(lit, "unlit")
    require(np.asarray(mask, bool), "irrelevant")
    if present is not None:
        require(present, "absent")
    if amplitude_to_noise is not None:
        require(amplitude_to_noise > noise_threshold, "absent")
    if travel is not None:
        require(travel > travel_threshold, "standing")
    # Before the division below, which would have no direction.
    require((moved > 0) & np.isfinite(moved), "ambiguous")
    if wavelength_px is not None:
        height, width = field_px or image
        safe = np.where(moved > 0, moved, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Length of the chord through the middle of the image along the displacement.
            chord = np.minimum(width / np.abs(fx / safe), height / np.abs(fy / safe))
        require(np.asarray(wavelength_px) <= field_limit * chord, "too_long")
        require(moved < displacement_limit * np.asarray(wavelength_px), "ambiguous")
    if disagreement is not None:
        require(disagreement < disagreement_limit, "contradicted")
    return found


def disagreement(
    flow: np.ndarray, other: np.ndarray, trust: np.ndarray, *, sigma: float = AGREEMENT_SIGMA
) -> npt.NDArray[np.float32]:
    """Relative difference between the local means of a displacement and of another estimate of it.

    Parameters
    ----------
    flow, other : ndarray, (2, y, x)
        Displacements in px.
    trust : ndarray, (y, x)
        Trust in the other one, 0..1; its weight in the means of both.
    sigma : float
        Standard deviation of the Gaussian means, px.

    Returns
    -------
    ndarray of float32, (y, x)
        Length of the difference over the length of the other; NaN where there is no trust.

    Examples
    --------
    >>> import numpy as np
    >>> other = np.ones((2, 16, 16), np.float32)
    >>> trust = np.ones((16, 16), np.float32)
    >>> float(disagreement(1.25 * other, other, trust)[8, 8])
    0.25
    """
    weight = np.asarray(trust, dtype=np.float32)
    parts = [*(flow - other), *other]
    means = [
        cv2.GaussianBlur(
            np.ascontiguousarray(weight * part, dtype=np.float32), (0, 0), sigma,
            borderType=cv2.BORDER_REFLECT_101,
        )
        for part in parts
    ]  # fmt: skip
    length = np.hypot(means[2], means[3])
    out = np.full(weight.shape, np.nan, dtype=np.float32)
    return np.divide(np.hypot(means[0], means[1]), length, out=out, where=length > 0)

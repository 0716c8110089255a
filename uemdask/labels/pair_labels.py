"""Labels for the frame pairs of one slab."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.labels.confidence import label_confidence
from uemdask.labels.grey import to_grey
from uemdask.labels.normal import project_on_normal, wave_normal
from uemdask.labels.optical_flow import FlowEstimator, Method, Preset
from uemdask.labels.refinement import refine_along_normal

SMOOTHING_WAVELENGTHS = 0.25
"""Sigma, in wavelengths, of the mean over projected vectors: less than the fronts bend in."""


def label_pairs(
    wave: np.ndarray,
    pairs: Sequence[tuple[int, int]] | np.ndarray,
    *,
    scale: float,
    wavelength: float | Sequence[float] | np.ndarray | None = None,
    noise: float | np.ndarray = 0.0,
    method: Method = "dis",
    preset: Preset = "ultrafast",
    normal_only: bool = True,
    refinements: int = 2,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Displacement and confidence for pairs of frames of one slab, by optical flow.

    The flow is estimated forwards and backwards, projected on the wave normal, averaged over a
    quarter of a wavelength, refined along the normal, and judged by `label_confidence`.

    Parameters
    ----------
    wave : ndarray, (time, y, x)
        Band-passed, smoothed wave, unit 1. Not finite pixels get label 0 and confidence 0.
    pairs : sequence of (int, int), or ndarray (pair, 2)
        Indices of the first and second frame on the slab's time axis.
    scale : float
        The run's amplitude (`grey_scale`).
    wavelength : float or sequence of float (pair), optional
        Wavelength in px, for all pairs or for each.
    noise : float or ndarray, (y, x)
        Standard deviation of the noise in `wave`, for instance of its frames before time zero.
    method, preset : str
        See `FlowEstimator`.
    normal_only : bool
        Keep only the component across the fronts. Turn off to see the estimator's own output.
    refinements : int
        Steps of `refine_along_normal`, if `normal_only`; 0 for none.

    Returns
    -------
    label : ndarray of float32, (pair, 2, y, x)
        Displacement in px: ``first(r) = second(r + label(r))``.
    confidence : ndarray of float32, (pair, y, x)
        0..1.

    Raises
    ------
    UemError
        If a pair points outside the slab or wavelengths and pairs differ in number.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.tile(np.arange(96.0), (96, 1))
    >>> wave = np.stack([0.1 * np.sin(2 * np.pi * (x - 3 * t) / 32) for t in range(3)])
    >>> label, confidence = label_pairs(wave, [(0, 1), (1, 2)], scale=0.1, wavelength=32.0)
    >>> label.shape, bool(abs(label[:, 0, 30:60, 30:60].mean() - 3) < 0.1)
    ((2, 2, 96, 96), True)
    """
    chosen = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    frames, rows, columns = wave.shape
    if chosen.size and (chosen.min() < 0 or chosen.max() >= frames):
        raise UemError(
            f"pairs: found frame indices {chosen.min()} to {chosen.max()}, the slab has frames "
            f"0 to {frames - 1}; give indices on the slab's own time axis"
        )
    wavelengths: list[float | None]
    if wavelength is None or np.ndim(wavelength) == 0:
        wavelengths = [None if wavelength is None else float(np.asarray(wavelength))] * len(chosen)
    else:
        wavelengths = [float(value) for value in np.asarray(wavelength)]
    if len(wavelengths) != len(chosen):
        raise UemError(
            f"wavelength: found {len(wavelengths)} values for {len(chosen)} pairs; "
            "give one number or one a pair"
        )
    label = np.zeros((len(chosen), 2, rows, columns), np.float32)
    confidence = np.zeros((len(chosen), rows, columns), np.float32)
    grey = {int(t): to_grey(wave[t], scale) for t in np.unique(chosen)}
    estimators: dict[float | None, FlowEstimator] = {}
    for index, ((start, end), length) in enumerate(zip(chosen, wavelengths, strict=True)):
        first, second = (np.asarray(wave[t], dtype=np.float32) for t in (start, end))
        missing = ~(np.isfinite(first) & np.isfinite(second))
        if missing.any():
            first, second = np.nan_to_num(first), np.nan_to_num(second)
        if length not in estimators:
            estimators[length] = FlowEstimator(
                method, (rows, columns), wavelength=length, preset=preset
            )
        estimate = estimators[length]
        forward = estimate(grey[int(start)], grey[int(end)])
        backward = estimate(grey[int(end)], grey[int(start)])
        normal, anisotropy = wave_normal(first, second, wavelength=length)
        if normal_only:
            smoothing = SMOOTHING_WAVELENGTHS * (length or 0.0)
            forward, backward = (
                refine_along_normal(
                    start_image,
                    end_image,
                    project_on_normal(flow, normal, smoothing=smoothing),
                    normal,
                    wavelength=length,
                    smoothing=smoothing,
                    iterations=refinements,
                )
                for start_image, end_image, flow in (
                    (first, second, forward),
                    (second, first, backward),
                )
            )
        trust = label_confidence(
            first, second, forward, backward,
            noise=noise, wavelength=length, anisotropy=anisotropy,
        )  # fmt: skip
        forward[:, missing] = 0
        trust[missing] = 0
        label[index], confidence[index] = forward, trust
    return label, confidence

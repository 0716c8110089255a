"""The label of a pair from its complex wave, by one or several methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.labels.combination import combine_labels
from uemdask.labels.confidence import AMBIGUOUS_DISPLACEMENT
from uemdask.labels.pair_labels import label_pairs
from uemdask.spectrum import phase_flow, travel_index
from uemdask.spectrum.grid import binned_noise, binned_smoothing

Method = Literal["phase", "dis", "farneback"]

# An eighth of a wavelength: at least this many px, wider than the noise ...
_LEAST_SIGMA = 8.0
# ... and at most this many squares, inside the halo.
_MOST_SIGMA = 20.0
# Trust in a label from two frames, beside one from the frames around them. A contrast that is
# reversed across a line holds the former there, and it does not know.
_TWO_FRAMES = 0.1


def mean_width(wavelength_px: float, binning: int = 1) -> float:
    """Return the sigma of the means over phases that make a label, px.

    Errors of labels, and of the flow that follows them, are alike over that distance.

    Examples
    --------
    >>> mean_width(40.0), mean_width(120.0, 4)
    (8.0, 15.0)
    """
    return float(np.clip(wavelength_px / 8, _LEAST_SIGMA, _MOST_SIGMA * binning))


@dataclass(frozen=True)
class LabelEstimator:
    """Estimates the displacement between two frames of a wave.

    Attributes
    ----------
    methods : sequence of {"dis", "farneback", "phase"}
        Several are combined by confidence.
    frequency : float
        Of the wave, GHz.
    wavelength_px : float
        About, px.
    noise : float
        Standard deviation of the wave's noise, 1.
    grey_scale : float
        Amplitude that fills the grey range of the optical flow.
    smoothing : float
        Sigma of the Gaussian that the wave was smoothed with, px.
    binning : int
        Edge in px of the squares that images lie on; lengths are in squares.
    """

    methods: Sequence[Method]
    frequency: float
    wavelength_px: float
    noise: float
    grey_scale: float
    smoothing: float
    binning: int = 1

    def on_grid(self, binning: int) -> LabelEstimator:
        """Return the same for means over squares of so many px."""
        return replace(
            self,
            wavelength_px=self.wavelength_px / binning,
            noise=binned_noise(self.noise, self.smoothing, binning),
            smoothing=binned_smoothing(self.smoothing, binning),
            binning=binning,
        )

    @property
    def sigma(self) -> float:
        """Width of the means over phases: an eighth of a wavelength, wider than the noise."""
        return mean_width(self.wavelength_px * self.binning, self.binning) / self.binning

    def __call__(
        self, first: np.ndarray, second: np.ndarray, step: float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return label (2, y, x) in px and confidence (y, x) of a pair.

        Parameters
        ----------
        first, second : ndarray of complex64, (y, x)
            Complex waves; 0 where nothing is seen.
        step : float
            Delay between them, ps.
        """
        found = [self._estimate(method, first, second, step) for method in self.methods]
        merged, trust = found[0]
        if len(found) > 1:
            labels, confidences = zip(*found, strict=True)
            # The frames around a pair know more than the pair: where both are sure, they lead.
            weights = [
                confidence if method == "phase" else _TWO_FRAMES * confidence
                for method, confidence in zip(self.methods, confidences, strict=True)
            ]
            merged, trust = combine_labels(labels, weights)
        # Beyond half a period a front cannot be told from the next one.
        ambiguous = self.frequency * 1e-3 * step >= AMBIGUOUS_DISPLACEMENT
        return merged, np.zeros_like(trust) if ambiguous else trust

    def _estimate(
        self, method: Method, first: np.ndarray, second: np.ndarray, step: float
    ) -> tuple[np.ndarray, np.ndarray]:
        if method == "phase":
            label, confidence = phase_flow(
                first,
                second,
                phase_step=2e-3 * np.pi * self.frequency * step,
                sigma=self.sigma,
                smoothing=self.smoothing,
            )
            power = (np.abs(first) ** 2 + np.abs(second) ** 2) / 2
            return label, confidence * power / (power + 2 * self.noise**2 + 1e-30)
        labels, confidences = label_pairs(
            np.stack([first.real, second.real]),
            [(0, 1)],
            scale=self.grey_scale,
            wavelength=self.wavelength_px,
            noise=self.noise,
            method=method,
        )
        # Two frames cannot tell a standing wave from one that travels; those around them can.
        travels = np.minimum(
            *(travel_index(image, sigma=_LEAST_SIGMA / self.binning) for image in (first, second))
        )
        # Pyramids carry the edge of an unlit area far into the wave.
        away = np.clip(_from_dark(first) / self.wavelength_px, 0, 1)
        return labels[0], confidences[0] * travels * away**2


def _from_dark(wave: np.ndarray) -> np.ndarray:
    """Return the distance of pixels (y, x) to the next unlit one, px; the wave is 0 there."""
    lit = (wave != 0).astype(np.uint8)
    if lit.all():
        return np.full(lit.shape, np.inf, np.float32)
    return cv2.distanceTransform(lit, cv2.DIST_L2, 5)

"""Spectra of the patches of all frames of a series, transformed as seldom as can be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from uemdask.align.patch_spectra import PatchSpectra, Rectangle

_CELLS = 32_000_000
"""Spectral values of all frames held at once: 256 MB."""

_ASTRAY = 0.75
"""Pixels a patch may lie off where its frame has drifted to, before it is cut again."""

_EXACT = 0.1
"""The same for the last digits: what is left of it is a few thousandths of a pixel."""

_MARGIN = 1
"""Pixels left on every side when patches are laid out, for the drift to change."""

_WASTE = 4
"""Pixels by which a side of the patches may fall short of what all frames cover."""


class SeriesSpectra:
    """Spectra of a series of frames.

    Parameters
    ----------
    contrast : ndarray of float32, shape (t, y, x)
        Frames as recorded, by :func:`uemdask.align.patch_spectra.local_contrast`.
    shaded : ndarray of bool, shape (y, x), optional
        Areas of the frames that show nothing.

    Attributes
    ----------
    patches : PatchSpectra
        As laid out last.
    noise : ndarray of float32, shape (t, patch)
        Power of the noise.
    """

    def __init__(self, contrast: np.ndarray, shaded: npt.NDArray[np.bool_] | None = None) -> None:
        self._contrast, self._shaded = contrast, shaded
        self.patches: PatchSpectra
        self._laid_out = False

    def lay_out(self, drift: npt.NDArray[np.float64], *, exact: bool = False) -> bool:
        """Cut the patches of what all frames cover at a drift (t, 2), px.

        `exact` for patches that are moved to the drift, not to the nearest pixel. Returns whether
        there are any.
        """
        whole = np.rint(drift)
        common = _common(self._contrast.shape[1:], whole)
        away = np.full(len(drift), np.inf)
        if self._laid_out and _holds(common, self.patches.rectangle):
            away = np.abs(drift - self._cut_at).max(axis=1)
        elif not self._choose(common, len(drift)):
            return False
        for t in np.flatnonzero(away > (_EXACT if exact else _ASTRAY)):
            self._cut_at[t] = drift[t] if exact else whole[t]
            self._spectra[:, t], self.noise[t] = self.patches.of(self._contrast[t], self._cut_at[t])
        return True

    def _choose(self, common: Rectangle, count: int) -> bool:
        """Choose patches, as many as memory allows; return whether there are any."""
        y_begin, y_end, x_begin, x_end = common
        inner = y_begin + _MARGIN, y_end - _MARGIN, x_begin + _MARGIN, x_end - _MARGIN
        patches = PatchSpectra(inner, shaded=self._shaded)
        if patches.size:
            most = int(np.sqrt(_CELLS / (count * patches.kx.size)))
            if most < 7:
                patches = PatchSpectra(inner, most=max(2, most), shaded=self._shaded)
        self._laid_out = bool(patches.size)
        if self._laid_out:
            self.patches = patches
            self._spectra = np.empty((patches.patches, count, patches.kx.size), np.complex64)
            self.noise = np.empty((count, patches.patches), np.float32)
            self._cut_at = np.zeros((count, 2))
        return self._laid_out

    def moved(self, drift: npt.NDArray[np.float64]) -> Iterator[npt.NDArray[np.complex64]]:
        """Spectra (t, k) patch by patch, of frames moved back by their drift."""
        turn = self.patches.turned(drift - self._cut_at)
        for spectra in self._spectra:
            yield spectra * turn


def _common(shape: tuple[int, ...], whole: npt.NDArray[np.float64]) -> Rectangle:
    """Return what every frame covers in the reference frame."""
    (y_begin, y_end), (x_begin, x_end) = (
        (max(0, -int(by.min())), min(size, size - int(by.max())))
        for size, by in zip(shape, whole.T[::-1], strict=True)
    )
    return y_begin, y_end, x_begin, x_end


def _holds(common: Rectangle, laid_out: Rectangle) -> bool:
    """Whether patches lie within what is common, and reach about as far."""
    away = np.subtract(laid_out, common) * (1, -1, 1, -1)
    return bool((away >= 0).all() and (away <= _WASTE).all())

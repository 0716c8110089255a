"""Where the texture is in blocks of frames, when frames were followed along moving contours.

Frames that follow each other share their bend contours, so following them is safe over jumps, but
it goes where the contours go: by many pixels over a series. The texture of the crystal is weaker
and stays. Means over blocks of frames show it. In a patch, fringes hold a few spatial frequencies
with a large amplitude; so amplitudes are cut to what is usual at their spatial frequency, and all
patches vote (phase correlation [1]_ of patches). The path of the blocks is the one that gathers
most votes with moderate steps (dynamic programming), against the first block at first, then
against the mean of all other blocks.

References
----------
.. [1] C. D. Kuglin and D. C. Hines, "The phase correlation image alignment method", Proc. IEEE
   Int. Conf. Cybernetics and Society, 163-165 (1975).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from uemdask.align.patch_spectra import PatchSpectra, power_of
from uemdask.align.series_spectra import SeriesSpectra

_BLOCK = 8
"""Frames of a block: contours hardly move within, and noise falls to a third."""

_REACH = 20
"""How far, px, following may have gone astray."""

_STEP = 6
"""Largest step of the path between blocks, px."""

_STEP_COST = 1.0
"""Votes, in standard deviations of the surface, that a step of 1 px must gain."""

_ROUNDS = 3

_LONGEST = 40.0
"""Period, px, above which contours are held to dominate."""


def search_path(series: SeriesSpectra, start: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mend a drift that followed the contours, to about a pixel.

    Parameters
    ----------
    series : SeriesSpectra
        Of all frames.
    start : ndarray, shape (t, 2)
        (x, y) px, right from frame to frame.

    Returns
    -------
    ndarray, shape (t, 2)
        The start itself where there are too few frames, or too little is covered by all.
    """
    count = len(start)
    length = min(_BLOCK, max(3, count // 8))
    if count < 2 * length or not series.lay_out(start):
        return start
    blocks = np.array_split(np.arange(count), count // length)
    begin = [int(block[0]) for block in blocks]
    number = np.array([len(block) for block in blocks], np.float32)
    patches = series.patches
    means = np.empty((len(blocks), patches.patches, patches.kx.size), np.complex64)
    for patch, spectra in enumerate(series.moved(start)):
        means[:, patch] = np.add.reduceat(spectra, begin, axis=0) / number[:, None]
    noise = np.add.reduceat(series.noise, begin, axis=0).mean(axis=1) / number**2
    whitened = np.stack(
        [_whitened(patches, mean, float(n)) for mean, n in zip(means, noise, strict=True)]
    )
    path = _best_path(patches, whitened)
    centres = [block.mean() for block in blocks]
    frames = np.arange(count)
    return start + np.stack([np.interp(frames, centres, path[:, c]) for c in (0, 1)], axis=1)


def _whitened(
    patches: PatchSpectra, spectrum: np.ndarray, noise: float
) -> npt.NDArray[np.complex64]:
    """Spectra with amplitudes cut to the median of their ring, less where noise prevails."""
    power = power_of(spectrum)
    # The median of an exponential distribution is ln 2 of its mean.
    usual = patches.usual(power) / np.float32(np.log(2.0))
    signal = np.maximum(usual - noise, 0.0)
    share = signal / (signal + noise + 1e-30)
    share = np.where(np.hypot(patches.ky, patches.kx) > 1.0 / _LONGEST, share, 0.0)
    cut = np.minimum(1.0, usual / np.maximum(power, 1e-30))
    return np.asarray(spectrum * (share * cut / np.sqrt(usual)), np.complex64)


def _best_path(patches: PatchSpectra, whitened: np.ndarray) -> npt.NDArray[np.int64]:
    """Shift (x, y) of every block, px, whole."""
    reach = reach_of(patches)
    path = np.zeros((len(whitened), 2), np.int64)
    for turn in range(_ROUNDS):
        if turn == 0:
            templates = np.broadcast_to(whitened[0], whitened.shape)
        else:
            placed = whitened * patches.turned(path)[:, None]
            templates = placed.sum(axis=0) - placed
        surfaces = [
            patches.correlation((np.conj(template) * block).sum(axis=0), reach)
            for template, block in zip(templates, whitened, strict=True)
        ]
        if turn == 0:
            # The first block is its own template.
            surfaces[0] = np.full_like(surfaces[0], -np.inf)
            surfaces[0][reach, reach] = 0.0
        found = _cheapest(surfaces)
        if turn > 0 and np.array_equal(found, path):
            break
        path = found
    return path


def reach_of(patches: PatchSpectra) -> int:
    """How far, px, a shift can be looked for in these patches."""
    return min(_REACH, int(0.35 * patches.size))


def _cheapest(surfaces: list[np.ndarray]) -> npt.NDArray[np.int64]:
    """Path through the surfaces with most votes, less the cost of its steps (Viterbi)."""
    edge, wide = surfaces[0].shape[0], 2 * _STEP + 1
    reach = np.arange(-_STEP, _STEP + 1)
    cost = _STEP_COST * np.hypot(reach[:, None], reach).ravel()
    total = surfaces[0]
    arrived = []
    for surface in surfaces[1:]:
        padded = np.pad(total, _STEP, constant_values=-np.inf)
        near = sliding_window_view(padded, (wide, wide)).reshape(edge, edge, -1) - cost
        how = near.argmax(axis=-1)
        total = np.take_along_axis(near, how[..., None], -1)[..., 0] + surface
        arrived.append(how)
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(total)), total.shape))
    path = [(column, row)]
    for how in reversed(arrived):
        down, across = divmod(int(how[row, column]), wide)
        row, column = row + down - _STEP, column + across - _STEP
        path.append((column, row))
    return np.array(path[::-1]) - edge // 2

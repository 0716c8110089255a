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

from uemdask.align.patch_spectra import PatchSpectra, common_rectangle

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


def search_path(
    contrast: np.ndarray,
    start: npt.NDArray[np.float64],
    shaded: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float64]:
    """Mend a drift that followed the contours, to about a pixel.

    Parameters
    ----------
    contrast : ndarray of float32, shape (t, y, x)
        Frames as recorded, by :func:`uemdask.align.patch_spectra.local_contrast`.
    start : ndarray, shape (t, 2)
        (x, y) px, right from frame to frame.
    shaded : ndarray of bool, shape (y, x), optional
        Areas of the frames that show nothing.

    Returns
    -------
    ndarray, shape (t, 2)
        The start itself where there are too few frames, or too little is covered by all.
    """
    count = len(contrast)
    length = min(_BLOCK, max(3, count // 8))
    if count < 2 * length:
        return start
    blocks = np.array_split(np.arange(count), count // length)
    patches = PatchSpectra(common_rectangle(contrast.shape[1:], start), shaded=shaded)
    if not patches.size:
        return start
    whitened = np.stack(
        [
            _whitened(patches, np.mean([patches.moved(contrast[t], start[t]) for t in block], 0))
            for block in blocks
        ]
    )
    path = _best_path(patches, whitened)
    centres = [block.mean() for block in blocks]
    frames = np.arange(count)
    return start + np.stack([np.interp(frames, centres, path[:, c]) for c in (0, 1)], axis=1)


def _whitened(patches: PatchSpectra, image: np.ndarray) -> npt.NDArray[np.complex64]:
    """Spectra with amplitudes cut to the median of their ring, less where noise prevails."""
    spectrum, noise = patches.of(image)
    power = spectrum.real**2 + spectrum.imag**2
    # The median of an exponential distribution is ln 2 of its mean.
    usual = patches.usual(power) / np.float32(np.log(2.0))
    signal = np.maximum(usual - noise.mean(), 0.0)
    share = signal / (signal + noise.mean() + 1e-30)
    share = np.where(np.hypot(patches.ky, patches.kx) > 1.0 / _LONGEST, share, 0.0)
    cut = np.minimum(1.0, usual / np.maximum(power, 1e-30))
    weight = share * cut / np.sqrt(usual) * patches.used
    return np.asarray(spectrum * weight, np.complex64)


def _best_path(patches: PatchSpectra, whitened: np.ndarray) -> npt.NDArray[np.int64]:
    """Shift (x, y) of every block, px, whole."""
    reach = reach_of(patches)
    path = np.zeros((len(whitened), 2), np.int64)
    for turn in range(_ROUNDS):
        if turn == 0:
            templates = np.broadcast_to(whitened[0], whitened.shape)
        else:
            angle = path[:, 0, None, None] * patches.kx + path[:, 1, None, None] * patches.ky
            placed = whitened * np.exp(2j * np.pi * angle)[:, None]
            templates = placed.sum(axis=0) - placed
        surfaces = [
            correlation(patches, np.conj(template) * block, reach)
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


def correlation(patches: PatchSpectra, product: np.ndarray, reach: int) -> npt.NDArray[np.float64]:
    """Correlation over shifts (y, x) of up to `reach`, in robust standard deviations.

    Parameters
    ----------
    patches : PatchSpectra
        Whose spectra.
    product : ndarray, shape (patch, ky, kx)
        Conjugate of one spectrum times the other.
    reach : int
        px.
    """
    size = patches.size
    whole = np.zeros((size, size // 2 + 1), np.complex128)
    rows, columns = product.shape[1:]
    whole[np.ix_(np.arange(rows) - rows // 2, np.arange(columns))] = product.sum(axis=0)
    shifts = np.arange(-reach, reach + 1)
    surface = np.fft.irfft2(whole, s=(size, size))
    scatter = 1.4826 * float(np.median(np.abs(surface - np.median(surface))))
    return np.asarray(surface[np.ix_(shifts, shifts)] / max(scatter, 1e-30))


def _cheapest(surfaces: list[np.ndarray]) -> npt.NDArray[np.int64]:
    """Path through the surfaces with most votes, less the cost of its steps (Viterbi)."""
    edge = surfaces[0].shape[0]
    steps = [(y, x) for y in range(-_STEP, _STEP + 1) for x in range(-_STEP, _STEP + 1)]
    total = surfaces[0]
    arrived = []
    for surface in surfaces[1:]:
        padded = np.pad(total, _STEP, constant_values=-np.inf)
        best = np.full_like(total, -np.inf)
        how = np.zeros(total.shape, np.int64)
        for number, (y, x) in enumerate(steps):
            rows = slice(_STEP - y, _STEP - y + edge)
            columns = slice(_STEP - x, _STEP - x + edge)
            candidate = padded[rows, columns] - _STEP_COST * np.hypot(y, x)
            better = candidate > best
            best[better] = candidate[better]
            how[better] = number
        total = best + surface
        arrived.append(how)
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(total)), total.shape))
    path = [(column, row)]
    for how in reversed(arrived):
        y, x = steps[how[row, column]]
        row, column = row - y, column - x
        path.append((column, row))
    return np.array(path[::-1]) - edge // 2

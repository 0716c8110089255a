"""Lossy rounding before compression: bits that carry noise only should not be stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

FLOW_STEP_PX = 1 / 128
"""Step of stored displacements, px: an error of at most 0.004 px, far below any estimator's."""


def round_flow(flow: np.ndarray, step: float = FLOW_STEP_PX) -> npt.NDArray[np.float32]:
    """Round a displacement to multiples of a step.

    Parameters
    ----------
    flow : ndarray, any shape
        px; NaN and infinities are kept.
    step : float
        px, larger than 0. A power of two makes the multiples exact in float32.

    Returns
    -------
    ndarray of float32, same shape
        Off by at most half a step. Rounding twice changes nothing.

    Raises
    ------
    UemError
        If the step is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> round_flow(np.array([0.3, np.nan]), step=0.25)
    array([0.25,  nan], dtype=float32)
    """
    if not (np.isfinite(step) and step > 0):
        raise UemError(f"step: found {step}; give a positive number of px")
    rounded = np.rint(np.asarray(flow, dtype=np.float32) / np.float32(step)) * np.float32(step)
    # A negative zero compresses worse and prints badly.
    return np.asarray(rounded + np.float32(0), dtype=np.float32)


_WORDS: dict[int, Any] = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def round_mantissa(array: np.ndarray, bits: int) -> np.ndarray:
    """Round floating-point numbers to a number of mantissa bits, ties to even.

    Bit rounding as in Klöwer et al. 2021, doi:10.1038/s43588-021-00156-2.

    Parameters
    ----------
    array : ndarray of float16, float32 or float64, any shape
        NaN and infinities are kept.
    bits : int
        Mantissa bits to keep, at least 1; all are kept if the type has no more.

    Returns
    -------
    ndarray, same shape and type
        Relative error at most ``2 ** -(bits + 1)``. Rounding twice changes nothing.

    Raises
    ------
    UemError
        If `bits` is below 1 or the array is not floating point.

    Examples
    --------
    >>> import numpy as np
    >>> round_mantissa(np.array([1.2345678], dtype=np.float32), 7)
    array([1.234375], dtype=float32)
    """
    array = np.ascontiguousarray(array)
    if array.dtype.kind != "f" or array.dtype.itemsize not in _WORDS:
        raise UemError(f"array: found type {array.dtype}; only float16, 32 and 64 can be rounded")
    if bits < 1:
        raise UemError(f"bits: found {bits}; keep at least 1")
    drop = np.finfo(array.dtype).nmant - bits
    if drop <= 0:
        return array.copy()
    word = _WORDS[array.dtype.itemsize]
    raw = array.view(word)
    last_kept = (raw >> word(drop)) & word(1)
    half = word((1 << (drop - 1)) - 1)
    keep = word(np.iinfo(word).max ^ ((1 << drop) - 1))
    rounded = ((raw + half + last_kept) & keep).view(array.dtype)
    # The largest numbers would round up to infinity: they are kept as they are.
    return np.where(np.isfinite(rounded), rounded, array)

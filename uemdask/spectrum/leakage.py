"""Frames before time zero, in which the band-pass shows what comes after it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uemdask.spectrum.harmonics import RADIAN_PER_GHZ_PS, check_delays
from uemdask.spectrum.wave import band_pass_operator

# Amplitude of the trace, relative to the wave's, from which a frame counts: it shows in a picture.
_SEEN = 0.02


def leaked_frames(
    delays: npt.ArrayLike, *, centre: float, window: float, at: npt.ArrayLike | None = None
) -> npt.NDArray[np.bool_]:
    """Frames of which the stored wave cannot tell whether there is one.

    The window of the band-pass reaches over time zero, so that a frame shortly before it shows a
    trace of the wave that follows, as if it came early. Further back there is no trace: what such
    a frame shows is noise. No frame from time zero on is among them.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays of the frames that the wave was made from, ps; time zero is 0.
    centre : float
        Frequency of the band-pass, GHz.
    window : float
        Sigma of its window, in periods.
    at : array_like, shape (R,), optional
        Delays that are asked for, ps; `delays` by default.

    Returns
    -------
    ndarray of bool, shape (R,)
        True where 2 % or more of the amplitude of a wave that starts at time zero show.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(-100.0, 300.0, 5.0)
    >>> t[leaked_frames(t, centre=34.0, window=0.5)].tolist()
    [-30.0, -25.0, -20.0, -15.0, -10.0, -5.0]
    """
    t = check_delays(delays)
    asked = t if at is None else np.asarray(at, np.float64)
    before = asked < 0
    leaked = np.zeros(len(asked), bool)
    if before.any() and (t >= 0).any():
        operator = band_pass_operator(t, centre, window=window * 1e3 / centre, at=asked[before])
        later = np.where(t >= 0, np.exp(1j * RADIAN_PER_GHZ_PS * centre * t), 0)
        # A wave is half of this and half of its conjugate; at worst their traces add up.
        trace = np.abs(operator @ later) + np.abs(operator @ later.conj())
        leaked[before] = trace / 2 >= _SEEN
    return leaked

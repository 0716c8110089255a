"""When the front of a periodic pulse passes each pixel, from the time profiles alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

Float64 = npt.NDArray[np.float64]

_POINTS_A_WIDTH = 2
"""Points of the folded profile per width of the window; a parabola finds the place between."""

_SEEN = 1e-3
"""Frames with a smaller weight than this do not count as covering a place."""


@dataclass(frozen=True)
class PulseFront:
    """The front of a pulse; every array has the shape (y, x).

    Attributes
    ----------
    arrival : ndarray, float64
        Delay of the steepest change in ps, modulo the period. Differences between pixels are times
        of travel, as long as all pixels lie within half a period of their mean.
    duration : ndarray, float64
        Height of the pulse over its steepest slope, ps: about the time from 10 to 90 %.
    """

    arrival: Float64
    duration: Float64

    @property
    def knee_frequency(self) -> float:
        """Frequency in GHz of which half a period is the median duration of the front.

        Below it, harmonics of the pulse see its whole shape, decay included. From here on they see
        the front, as long as they stand above the noise: their phase travels with it [1]_.

        References
        ----------
        .. [1] Johnson and Graham, High-Speed Digital Design, Prentice Hall (1993), chapter 1.
        """
        return 500.0 / float(np.nanmedian(self.duration))


def pulse_front(
    series: npt.NDArray[np.floating],
    delays: npt.ArrayLike,
    *,
    period: float,
    width: float,
    falling: bool = False,
) -> PulseFront:
    """Find when the front of a periodic pulse passes each pixel.

    The periods are laid over each other. Level and slope come from straight lines fitted under a
    Gaussian window that moves over the period, so delays may be uneven. The steepest slope is the
    arrival, as activation times are read from optical recordings of the heart [1]_.

    Parameters
    ----------
    series : ndarray, shape (T, y, x)
        Any unit. Smooth it in space first where single pixels are noisy.
    delays : array_like, shape (T,)
        ps.
    period : float
        Time from pulse to pulse, ps.
    width : float
        Standard deviation of the window, ps: a quarter of the front's duration or less.
    falling : bool
        The pulse darkens the sample: look for the steepest fall.

    Returns
    -------
    PulseFront

    Raises
    ------
    UemError
        If shapes do not fit, or frames are missing for this period and width.

    References
    ----------
    .. [1] Cantwell et al., Comput. Biol. Med. 65, 229 (2015),
       doi:10.1016/j.compbiomed.2015.04.027.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(300.0)
    >>> late = np.array([[40.0, 43.5]])  # ps after the start of each period
    >>> series = np.exp(-0.5 * ((t[:, None, None] % 100 - late) / 6) ** 2)
    >>> front = pulse_front(series, t, period=100, width=1.5)
    >>> round(float(front.arrival[0, 1] - front.arrival[0, 0]), 2)
    3.5
    """
    values = np.asarray(series, dtype=np.float64)
    t = np.asarray(delays, dtype=np.float64)
    if values.ndim != 3 or t.shape != values.shape[:1]:
        raise UemError(
            f"series: found shape {values.shape} with {t.size} delays; give (T, y, x) and one "
            "delay a frame"
        )
    if not 0 < width <= period / 8:
        raise UemError(
            f"width: found {width:g} ps for a period of {period:g} ps; give a positive one of an "
            "eighth of the period or less"
        )
    count = int(np.ceil(_POINTS_A_WIDTH * period / width))
    level_of, slope_of = _straight_lines(t, np.arange(count) * (period / count), period, width)
    flat = values.reshape(t.size, -1)
    place, steepest = _highest(slope_of @ flat * (-1.0 if falling else 1.0))
    # On the circle of the period: the mean of the arrivals, and how far each is from it.
    turn = np.exp(2j * np.pi * place / count)
    mean = turn.mean()
    arrival = (np.angle(mean) + np.angle(turn * mean.conj())) * (period / (2 * np.pi))
    with np.errstate(divide="ignore", invalid="ignore"):
        duration = np.ptp(level_of @ flat, axis=0) / steepest
    return PulseFront(arrival.reshape(values.shape[1:]), duration.reshape(values.shape[1:]))


def _straight_lines(
    t: Float64, places: npt.NDArray[np.floating], period: float, width: float
) -> tuple[Float64, Float64]:
    """Give matrices (place, T) that take a series to level and slope of the line at each place."""
    ahead = (t - places[:, None] + period / 2) % period - period / 2
    weight = np.exp(-0.5 * (ahead / width) ** 2)
    total = weight.sum(axis=1, keepdims=True)
    if (total < 1).any() or ((weight > _SEEN).sum(axis=1) < 3).any():
        raise UemError(
            f"width: {width:g} ps leaves parts of the period of {period:g} ps without frames; give "
            "a wider window, or more frames"
        )
    weight /= total
    middle = (weight * ahead).sum(axis=1, keepdims=True)
    slope = weight * (ahead - middle)
    slope /= (slope * ahead).sum(axis=1, keepdims=True)
    return weight - slope * middle, slope


def _highest(profiles: Float64) -> tuple[Float64, Float64]:
    """Find place (in points) and height of the maximum of closed profiles (place, pixel)."""
    top = profiles.argmax(axis=0)
    pixel = np.arange(profiles.shape[1])
    before, here, after = (profiles[(top + step) % len(profiles), pixel] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / np.where(bend < 0, bend, -np.inf)
    return top + shift, here - 0.25 * (before - after) * shift

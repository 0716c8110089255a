"""How bright every frame is, and when the sample begins to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.align.breathing import Breathing, find_breathing
from uemdask.align.brightness import beam_fall, brightness, brightness_slope
from uemdask.align.raw_frames import RawFrames
from uemdask.align.shift import sample_nearest, sample_shifted
from uemdask.align.time_zero import EarlyFrames, Onset, first_change

# A beam that falls further than this over the field brightens and dims places as it wanders.
_BEAM_PROFILE = 0.25


@dataclass(frozen=True)
class FrameBrightness:
    """Brightness of some frames.

    Attributes
    ----------
    gain : list of float
        Factor of each frame; 1 of one that is not used.
    slope : list of (float, float)
        Of the logarithm of the brightness along (x, y), 1/px.
    change : list of (float, float)
        Energy of the change since the earliest frames and its standard error; NaN if unknown.
    """

    gain: list[float]
    slope: list[tuple[float, float]]
    change: list[tuple[float, float]]


def frame_brightness(
    recorded: RawFrames,
    frames: Sequence[int],
    frame_ok: np.ndarray,
    drift: np.ndarray,
    reference: np.ndarray,
    unlit: npt.NDArray[np.bool_],
    passed: np.ndarray,
    early: EarlyFrames,
    *,
    fall: float | None = None,
) -> FrameBrightness:
    """Compare frames with the reference and with the earliest ones.

    Parameters
    ----------
    recorded : RawFrames
        The series, repaired.
    frames : sequence of int
        Those to compare.
    frame_ok, drift : ndarray, (time,), (time, 2)
        Of the series; px.
    reference, unlit : ndarray, (y, x)
        Counts; pixels that say nothing.
    passed : ndarray, (y, x)
        Share of the light that shades of the detector let pass.
    early : EarlyFrames
    fall : float, optional
        Of the beam over the field, see `beam_fall`; found where not given.
    """
    profile = (beam_fall(reference, ~unlit) if fall is None else fall) < _BEAM_PROFILE
    shade = bool((passed < 1).any())
    found = FrameBrightness([], [], [])
    for frame in frames:
        if not frame_ok[frame]:
            found.gain.append(1.0)
            found.slope.append((0.0, 0.0))
            found.change.append((np.nan, np.nan))
            continue
        image, hidden = recorded.with_hidden(frame)
        moved, covered = sample_shifted(image, drift[frame])
        covered &= ~unlit & ~sample_nearest(hidden, drift[frame], (0, 0), hidden.shape)
        if shade:
            moved *= passed / sample_shifted(passed, drift[frame])[0]
        found.gain.append(brightness(moved, reference, covered))
        slope = brightness_slope(moved, reference, covered) if profile else (0.0, 0.0)
        found.slope.append(slope)
        found.change.append(early.change(frame, image, drift[frame]))
    return found


@dataclass(frozen=True)
class Gains:
    """Brightness of a series.

    Attributes
    ----------
    gain : ndarray, shape (time,)
    slope : ndarray, shape (time, 2)
        1/px.
    breathing : Breathing
        What the whole field does, which is no beam's.
    onset : Onset
        When the sample begins to change.
    """

    gain: npt.NDArray[np.float64]
    slope: npt.NDArray[np.float64]
    breathing: Breathing
    onset: Onset


def join_gains(
    gain: np.ndarray, slope: np.ndarray, change: np.ndarray, used: np.ndarray, delays: np.ndarray
) -> Gains:
    """Take what the sample does out of the brightness of a series.

    Parameters
    ----------
    gain, slope, change : ndarray, (time,), (time, 2), (time, 2)
        From `frame_brightness`.
    used, delays : ndarray, (time,)
        Frames to use; ps.
    """
    gain, slope = gain.astype(np.float64), slope.astype(np.float64)
    breathing = find_breathing(gain[used], delays[used])
    gain[used] /= 1.0 + breathing.swing
    if breathing.frequency is not None:
        # A wave longer than the field swings the gain, and its slope is no beam's.
        slope[:] = 0.0
    return Gains(gain, slope, breathing, first_change(delays[used], *change[used].T))

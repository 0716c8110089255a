"""Random scenarios: the spread of real series, for training with exact truth."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.simulate.scenarios import Scenario, even_delays
from uemdask.simulate.waves import PlaneWave, RingWave, SpeedLaw

LARGEST_SHARE = 0.4  # of a wavelength a front may move between frames; beyond, it is ambiguous
STEP = 5.0  # ps, the commonest delay step
BEFORE_ZERO = 6  # frames before time zero
_TRIES = 200


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_scenario(
    rng_or_seed: np.random.Generator | int,
    *,
    shape: tuple[int, int] = (256, 256),
    frames: int = 60,
    wavelength: tuple[float, float] = (12.0, 130.0),
    speed: tuple[float, float] = (0.3, 12.0),
    modulation: tuple[float, float] = (0.02, 0.15),
    counts: tuple[float, float] = (30.0, 1000.0),
    still_share: float = 0.0,
) -> Scenario:
    """Draw a scenario at random; the displacement stays below 0.4 wavelength in every pair.

    Wavelength, speed, modulation and counts are even in their logarithm. Delays are even (half of
    the draws), piecewise even with steps of 5 and 10 ps, or have gaps. A quarter of the waves are
    rings, up to a third are chirped, a third have an echo of 5-50 %, a fifth of the steady plane
    ones enter as fronts.

    Parameters
    ----------
    rng_or_seed : numpy.random.Generator or int
        Source of chance; equal seeds give equal scenarios.
    shape : tuple of int
        (y, x) of a frame, px.
    frames : int
        Number of frames, at least 12.
    wavelength : tuple of float
        Range of the wavelength in the middle of the series, px.
    speed : tuple of float
        Range of the motion, px per 5 ps frame.
    modulation : tuple of float
        Range of the amplitude, of the local mean.
    counts : tuple of float
        Range of the mean counts per pixel.
    still_share : float
        Share of draws in which nothing travels: standing, breathing or no wave.

    Raises
    ------
    UemError
        If `frames` is below 12, or the ranges allow no motion below 0.4 wavelength.

    Examples
    --------
    >>> random_scenario(7, shape=(128, 128)) == random_scenario(7, shape=(128, 128))
    True
    """
    if frames < 12:
        raise UemError(f"frames: {frames} was found; give at least 12 for a random scenario")
    if 2.0 * speed[0] > LARGEST_SHARE * wavelength[1]:
        raise UemError(
            f"speed from {speed[0]} px and wavelength up to {wavelength[1]} px leave no motion "
            f"below {LARGEST_SHARE} wavelength; widen one of the ranges"
        )
    rng = np.random.default_rng(rng_or_seed)
    delays = _draw_delays(rng, frames)
    pixel = float(rng.uniform(2.0, 6.0))
    onset = float(rng.uniform(0.0, 0.15)) * delays[-1]
    full = onset + float(rng.uniform(0.1, 0.35)) * delays[-1]
    motion = _draw_motion(rng, delays, shape, pixel, wavelength, speed, onset)
    mode = "travelling"
    if rng.random() < still_share:
        mode = str(rng.choice(["standing", "breathing", "none"]))
    plane = motion["geometry"] == "plane"
    contour_low = float(rng.uniform(0.6, 0.95))
    echo = float(rng.uniform(0.05, 0.5)) if rng.random() < 0.33 else 0.0
    echo_angle = None if rng.random() < 0.5 and plane else float(rng.uniform(-180.0, 180.0))
    return Scenario(
        name="random",
        seed=int(rng.integers(2**31)),
        shape=shape,
        pixel_size=(pixel, pixel),
        delays=delays,
        mode=mode,
        modulation=0.0 if mode == "none" else _log_uniform(rng, *modulation),
        strength=((onset, 0.0), (full, 1.0)),
        strength_decay=float(rng.uniform(0.6, 4.0)) * delays[-1],
        second_harmonic=float(rng.uniform(0.0, 0.4)) if rng.random() < 0.5 else 0.0,
        echo=echo,
        echo_angle=echo_angle,
        front=bool(plane and motion["speed_excess"] == 0.0 and rng.random() < 0.2),
        wave_coverage=float(rng.uniform(0.4, 1.0)) if rng.random() < 0.6 else 1.0,
        coverage=float(rng.uniform(0.4, 0.95)) if rng.random() < 0.25 else 1.0,
        texture=float(rng.uniform(0.02, 0.12)),
        contour_range=(contour_low, float(rng.uniform(1.1, 1.8))),
        contour_shift=_log_uniform(rng, 0.5, 12.0),
        contour_darkening=float(rng.uniform(0.0, 0.2)),
        counts=_log_uniform(rng, *counts),
        gain_jitter=float(rng.uniform(0.0, 0.05)),
        brightness_drift=float(rng.uniform(0.0, 0.3)),
        drift_step=float(rng.uniform(0.0, 0.2)),
        drift_total=float(rng.uniform(0.2, 6.0)),
        drift_jumps=int(rng.integers(0, 3)),
        drift_jump=float(rng.uniform(0.3, 1.5)),
        read_noise=float(rng.uniform(0.0, 4.0)),
        hot_pixels=int(rng.integers(0, 30)) if rng.random() < 0.3 else 0,
        **motion,
    )


def _draw_delays(rng: np.random.Generator, frames: int) -> tuple[float, ...]:
    first = -STEP * BEFORE_ZERO
    kind = rng.choice(["even", "pieces", "gaps"], p=[0.5, 0.25, 0.25])
    if kind == "pieces":
        early = int(frames * rng.uniform(0.5, 0.9))
        delays = even_delays(first, STEP, early)
        return delays + even_delays(delays[-1] + 2.0 * STEP, 2.0 * STEP, frames - early)
    if kind == "gaps":
        # Single delays are missing after time zero, so that no step is longer than two.
        lost = BEFORE_ZERO + 1 + np.cumsum(rng.integers(3, 9, frames))
        whole = even_delays(first, STEP, 2 * frames)
        return tuple(t for i, t in enumerate(whole) if i not in lost)[:frames]
    return even_delays(first, STEP, frames)


def _draw_motion(
    rng: np.random.Generator,
    delays: tuple[float, ...],
    shape: tuple[int, int],
    pixel: float,
    wavelength: tuple[float, float],
    speed: tuple[float, float],
    onset: float,
) -> dict[str, Any]:
    """Draw geometry, frequency and speed until the motion is in bounds in every pair."""
    steps = np.diff(delays)
    longest = float(steps.max())
    middle = 0.5 * (onset + delays[-1])
    for attempt in range(_TRIES):
        length = _log_uniform(rng, *wavelength) * pixel
        # Motion per 5 ps from the allowed range, given the wavelength and the longest step.
        fastest = min(speed[1], 0.95 * LARGEST_SHARE * length / pixel) * STEP / longest
        if fastest <= speed[0]:
            continue
        at_middle = _log_uniform(rng, speed[0], fastest) * pixel / STEP
        # Late draws are steady: they are in bounds for certain.
        chirped = rng.random() < 0.33 and attempt < _TRIES // 2
        decay = float(rng.uniform(0.3, 1.5)) * delays[-1]
        excess = float(rng.uniform(0.1, 1.5)) if chirped else 0.0
        late = at_middle / (1.0 + excess * np.exp(-middle / decay))
        ring = bool(rng.random() < 0.25)
        reach = 0.4 if ring and rng.random() < 0.7 else 1.5 if ring else 0.3
        origin = tuple(float(o) for o in rng.uniform(-reach, reach, 2))
        angle = float(rng.uniform(-180.0, 180.0))
        law = SpeedLaw(float(late), float(late * excess), decay)
        frequency = 1e3 * at_middle / length
        if not ring:
            wave: PlaneWave | RingWave = PlaneWave(frequency, law, angle=angle)
        else:
            wave = RingWave(frequency, law)
        scale = (shape[1] * pixel, shape[0] * pixel)
        if chirped and not _in_bounds(wave, origin, scale, delays, onset, pixel, speed):
            continue
        return {
            "geometry": "ring" if ring else "plane",
            "frequency": frequency,
            "speed": law.late,
            "speed_excess": law.excess,
            "speed_decay": law.decay,
            "angle": angle,
            "origin": origin,
        }
    raise UemError(
        f"speed {speed} px and wavelength {wavelength} px leave no motion below {LARGEST_SHARE} "
        f"wavelength; widen one of the ranges"
    )


def _in_bounds(
    wave: PlaneWave | RingWave,
    origin: tuple[float, ...],
    scale: tuple[float, float],
    delays: tuple[float, ...],
    onset: float,
    pixel: float,
    speed: tuple[float, float],
) -> bool:
    """Whether motion is forward, fast enough and below 0.4 wavelength all over field and series."""
    grid: npt.NDArray[np.float64] = np.linspace(-0.5, 0.5, 9)
    # Positions relative to the origin, so that the wave itself can stay at (0, 0).
    x = (grid[None, :] - origin[0]) * scale[0]
    y = (grid[:, None] - origin[1]) * scale[1]
    for t_from, t_to in pairwise(delays):
        if t_to < onset:
            continue
        advance = wave.advance(x, y, t_from, t_to)
        shortest = min(float(wave.wavelength(t_from)), float(wave.wavelength(t_to)))
        if advance.max() > LARGEST_SHARE * shortest or advance.max() > speed[1] * pixel:
            return False
        if advance.min() < speed[0] * pixel:
            return False
    return True

"""A simulated twin of a run: the same wave, delays and noise, with exact truth.

Fine-tuning without labels can make a network worse, and the labels cannot tell. The twin can. It
also tells how far the uncertainty that the network states is true.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from uemdask.cube import Run
from uemdask.cube.layout import pair_fields
from uemdask.errors import UemError
from uemdask.network import Series
from uemdask.simulate import Scenario, SpeedLaw, scenario, simulate
from uemdask.stages.simulated import simulated_series
from uemdask.stages.spectrum import SpectrumParameters, band_of, usable_frames

_SHAPE = (192, 192)
_MOST_DELAYS = 200
# Confidence from which labels have a say in the motion of the twin's wave.
_CONFIDENT = 0.5
# A speed that falls must leave less than this share of what a constant one leaves.
_LEAST_GAIN = 0.3
_LEAST_CHANGE = 0.01  # rms, of the speed
_DECAYS = (0.1, 2.0)  # shortest and longest time constant, in records


def twin_series(run: Run, *, seed: int) -> Series:
    """Simulate a run's twin and take it to the wave as the stages would.

    Parameters
    ----------
    run : Run
        With the stage ``label`` done.
    seed : int
        Another seed gives another background and noise.

    Returns
    -------
    Series
        With exact labels; confidence 1 where the wave is there.

    Raises
    ------
    UemError
        If the run's wave cannot be simulated, such as one longer than the field of view.
    """
    parameters = SpectrumParameters.model_validate(run.stage("spectrum")["parameters"])
    return simulated_series(
        simulate(_scenario(run, seed)),
        centre=band_of(run).centre,
        smoothing=parameters.smoothing,
        window=parameters.window,
        # A twin has no reflected wave, but the filter takes noise out as well.
        directional=run.stage("spectrum")["results"]["directional"],
        name=f"twin of {run.name}",
    )


def _scenario(run: Run, seed: int) -> Scenario:
    results = run.stage("spectrum")["results"]
    pixel = float(np.sqrt(np.prod(run.pixel_size)))
    length = results["wavelength_px"]
    if length > _SHAPE[0]:
        raise UemError(
            f"{run.path}: its wavelength of {length:.0f} px is longer than a simulated frame"
        )
    mask = run.read("mask")
    if not mask.any():
        raise UemError(f"{run.path}: has no relevant pixel, so no wave to simulate")
    frequency = band_of(run).centre
    delays = usable_frames(run)[1][:_MOST_DELAYS]
    begin, record = max(0.0, float(delays[0])), float(delays[-1] - max(0.0, delays[0]))
    angle, law = _motion(run)
    amplitude = float(np.median(run.read("peak_amplitude")[mask]))
    return scenario(
        "plane",
        seed=seed,
        shape=_SHAPE,
        delays=tuple(float(delay) for delay in delays),
        pixel_size=(pixel, pixel),
        frequency=frequency,
        speed=law.late,
        speed_excess=law.excess,
        speed_decay=law.decay,
        angle=angle,
        # The amplitude over all delays counts the time before the wave came.
        modulation=min(1.5 * amplitude, 0.3),
        strength=((begin + 0.02 * record, 0.0), (begin + 0.15 * record, 1.0)),
        strength_decay=2 * record,
        counts=_counts(run),
        drift_total=0.0,
        drift_step=0.0,
        drift_jumps=0,
    )


def _counts(run: Run) -> float:
    """Return the counts whose shot noise is the noise of the run."""
    return float(np.clip(run.stage("spectrum")["results"]["noise_level"] ** -2, 10, 60_000))


def _motion(run: Run) -> tuple[float, SpeedLaw]:
    """Return direction (degree) and speed (nm/ps) of the confident labels in mid-frame."""
    y, x = (run.sizes[dim] // 2 for dim in ("y", "x"))
    steps = run.read("time_to") - run.read("time_from")
    pixel = np.sqrt(np.prod(run.pixel_size))
    motion, length, trust = np.zeros(2), np.zeros(len(steps)), np.zeros(len(steps))
    for slab in pair_fields(run.sizes):
        rows, columns = slice(*slab.span("y", 0)), slice(*slab.span("x", 0))
        if not (rows.start <= y < rows.stop and columns.start <= x < columns.stop):
            continue
        pairs = slice(*slab.span("pair", 0))
        label, confidence = run.read("label", slab), run.read("label_confidence", slab)
        weight = np.where(confidence > _CONFIDENT, confidence, 0)
        trust[pairs] = weight.sum(axis=(1, 2), dtype=np.float64)
        motion += np.einsum("pcyx,pyx->c", label, weight, dtype=np.float64)
        # Lengths, not the mean vector: in a ring the directions differ.
        length[pairs] = (np.hypot(label[:, 0], label[:, 1]) * weight).sum(axis=(1, 2))
    if not np.any(trust):
        raise UemError(f"{run.path}: has no confident label, so no motion to simulate")
    speeds = length / np.maximum(trust, 1e-12) * pixel / steps
    middle = (run.read("time_from") + run.read("time_to")) / 2
    return float(np.degrees(np.arctan2(-motion[1], motion[0]))), fit_speed(middle, speeds, trust)


def fit_speed(delay: np.ndarray, speed: np.ndarray, weight: np.ndarray) -> SpeedLaw:
    """Fit a speed that falls exponentially to a constant, or a constant where that is as good.

    Parameters
    ----------
    delay : ndarray, (n,)
        ps.
    speed : ndarray, (n,)
        nm/ps.
    weight : ndarray, (n,)
        0 for what does not count; not all 0.

    Returns
    -------
    SpeedLaw
        Positive at all delays from 0 on.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(0.0, 500.0, 5.0)
    >>> law = fit_speed(t, 8 + 50 * np.exp(-t / 200), np.ones(100))
    >>> round(law.late, 1), round(law.excess, 1), round(law.decay, 1)
    (8.0, 50.0, 200.0)
    """
    steady = float(np.average(speed, weights=weight))
    record = float(np.ptp(delay))
    root = np.sqrt(weight)

    def fall(log_decay: float) -> tuple[float, float, float]:
        design = np.stack([np.ones_like(delay), np.exp(-delay / np.exp(log_decay))], axis=1)
        (late, excess), *_ = np.linalg.lstsq(design * root[:, None], speed * root, rcond=None)
        left = float(np.sum(weight * (speed - design @ (late, excess)) ** 2))
        return left, float(late), float(excess)

    ends = np.log(record * np.array(_DECAYS))
    found = minimize_scalar(lambda log_decay: fall(log_decay)[0], bounds=ends, method="bounded")
    left, late, excess = fall(found.x)
    # Three numbers must explain far more than one to be believed.
    spread = float(np.average((speed - steady) ** 2, weights=weight))
    varies = spread > (_LEAST_CHANGE * steady) ** 2
    believed = varies and left < _LEAST_GAIN * spread * float(weight.sum())
    if believed and late > 0 and excess > 0:
        return SpeedLaw(late, excess, float(np.exp(found.x)))
    return SpeedLaw(steady)

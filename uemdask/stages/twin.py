"""A simulated twin of a run: the same wave, delays and noise, with exact truth.

Fine-tuning without labels can make a network worse, and the labels cannot tell. The twin can. It
also tells how far the uncertainty that the network states is true.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.network import Series
from uemdask.simulate import Scenario, scenario, simulate
from uemdask.spectrum import analytic_wave, band_pass_operator
from uemdask.spectrum.complex_wave import COMPLEX_WINDOW
from uemdask.spectrum.grid import binned_smoothing
from uemdask.stages.fitted_wave import fit_wave
from uemdask.stages.label import label_estimator
from uemdask.stages.simulated_series import DRIFT_LEFT, simulated_series
from uemdask.stages.spectrum import (
    SpectrumParameters,
    band_of,
    binning_of,
    smoothing_of,
    usable_indices,
)

_SHAPE = (192, 192)
_MOST_DELAYS = 200
# Of a square: the camera must not saturate, and more counts leave no noise to speak of.
_MOST_COUNTS = 20_000
_MOST_MODULATION = 0.3


def twin_series(run: Run, *, seed: int, even: bool = False) -> Series:
    """Simulate a run's twin on its natural grid and take it to the wave as the stages would.

    Parameters
    ----------
    run : Run
        With the stage ``label`` done.
    seed : int
        Another seed gives another background and noise.
    even : bool
        Let the wave be equally strong from early on, instead of growing and fading as the run's
        does: to learn from, because then all delays have something to teach.

    Returns
    -------
    Series
        With exact labels, in squares of the grid; confidence 1 where the wave is there.

    Raises
    ------
    UemError
        If the run's wave cannot be simulated, such as one longer than the field of view.
    """
    parameters = SpectrumParameters.model_validate(run.stage("spectrum")["parameters"])
    return simulated_series(
        simulate(_scenario(run, seed, even=even)),
        centre=band_of(run).centre,
        smoothing=_smoothing(run),
        window=parameters.window,
        directional=run.results("spectrum").directional,
        drift_left=_drift_left(run),
        name=f"twin of {run.name}",
    )


def twin_labels(
    run: Run, series: Series, pairs: np.ndarray
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Label pairs of a run's twin as the stage ``label`` has labelled the run.

    Parameters
    ----------
    run : Run
        With the stage ``label`` done.
    series : Series
        Its twin.
    pairs : ndarray of int, (pair,)
        Which of the twin's pairs.

    Returns
    -------
    label : ndarray, (pair, 2, y, x)
        In squares of the grid.
    confidence : ndarray, (pair, y, x)
        0..1.
    """
    delays, centre = _delays(run), band_of(run).centre
    methods = run.stage("label")["parameters"]["methods"]
    estimate = label_estimator(run, methods).on_grid(binning_of(run))
    found = []
    for start, end in zip(series.frame_from[pairs], series.frame_to[pairs], strict=True):
        operator = band_pass_operator(
            delays, centre, window=COMPLEX_WINDOW * 1e3 / centre, at=delays[[start, end]]
        )
        first, second = analytic_wave(series.wave.astype(np.float32), operator)
        found.append(estimate(first, second, float(delays[end] - delays[start])))
    labels, confidences = zip(*found, strict=True)
    return np.stack(labels), np.stack(confidences)


def _delays(run: Run) -> npt.NDArray[np.float64]:
    """Return the delays of a run's twin, ps."""
    return usable_indices(run)[1][:_MOST_DELAYS]


def _scenario(run: Run, seed: int, *, even: bool) -> Scenario:
    results, binning = run.results("spectrum"), binning_of(run)
    pixel = binning * float(np.sqrt(np.prod(run.pixel_size)))
    length = results.wavelength_px / binning
    if length > _SHAPE[0]:
        raise UemError(
            f"{run.path}: its wavelength of {results.wavelength_px:.0f} px is longer than a "
            f"simulated frame"
        )
    if not run.read("mask").any():
        raise UemError(f"{run.path}: has no relevant pixel, so no wave to simulate")
    delays = _delays(run)
    wave = fit_wave(run)
    # The stages smooth what is simulated once more.
    modulation = wave.amplitude * np.exp((2 * np.pi * _smoothing(run) / length) ** 2 / 2)
    begin, record = max(0.0, float(delays[0])), float(delays[-1] - max(0.0, delays[0]))
    growth = tuple((float(delay), float(share)) for delay, share in wave.growth)
    if even:
        growth = (begin + 0.02 * record, 0.0), (begin + 0.15 * record, 1.0)
    rings = wave.origin is not None
    reflected = results.directional == "all" and not rings
    return scenario(
        "plane",
        seed=seed,
        shape=_SHAPE,
        delays=tuple(float(delay) for delay in delays),
        pixel_size=(pixel, pixel),
        geometry="ring" if rings else "plane",
        origin=tuple(place / (binning * _SHAPE[0]) for place in wave.origin or (0.0, 0.0)),
        frequency=band_of(run).centre,
        speed=wave.speed.late,
        speed_excess=wave.speed.excess,
        speed_decay=wave.speed.decay,
        angle=wave.angle,
        modulation=min(float(modulation), _MOST_MODULATION),
        strength=growth,
        strength_decay=2 * record,
        echo=_echo(results.opposed_share) if reflected else 0.0,
        counts=_counts(run),
        drift_total=0.0,
        drift_step=0.0,
        drift_jumps=0,
    )


def _drift_left(run: Run) -> float:
    """Return by how much the run's drift is off, in squares, as alignment says."""
    stated = run.read("drift_sd")
    left = float(np.nanmedian(stated)) if np.isfinite(stated).any() else DRIFT_LEFT
    return left / binning_of(run)


def _smoothing(run: Run) -> float:
    """Return the sigma by which the wave was smoothed, in squares of the grid."""
    return binned_smoothing(smoothing_of(run), binning_of(run))


def _echo(share: float) -> float:
    """Return the amplitude of a reflected wave that has this share of the power."""
    return float(np.sqrt(share / max(1 - share, 0.5)))


def _counts(run: Run) -> float:
    """Return the counts of a square whose shot noise is the noise of the run."""
    of_pixel = run.results("spectrum").noise_level ** -2
    return float(np.clip(of_pixel * binning_of(run) ** 2, 10, _MOST_COUNTS))

"""Figures of curves: spectrum, strength and validity, speed and angle, alignment, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from uemdask.cube.results import BandResult
from uemdask.report.style import COLOURS, INK, NO_VALUE, new_figure

_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def _plain_log(axes: Axes) -> None:
    low, high = axes.dataLim.intervaly
    axes.set_yscale("log")
    if high < 30 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(_PLAIN)
    axes.yaxis.set_minor_formatter(NullFormatter())


def _time_zero(axes: Axes, at: float | None = None) -> None:
    axes.axvline(0, color=INK, linewidth=0.7, alpha=0.5)
    if at is not None:
        axes.axvline(at, color=INK, linewidth=0.7, alpha=0.5, linestyle=":")
    axes.grid(True)


def shade_leaked(axes: Axes, delays: np.ndarray, leaked: np.ndarray | None) -> None:
    """Hatch the delays at which the wave shows only what the band-pass carries there."""
    if leaked is None or not leaked.any():
        return
    begin, end = float(delays[leaked].min()), float(delays[leaked].max())
    later = delays[delays > end]
    if later.size:  # up to the first frame that can be told
        end = min(float(later[0]), 0.0) if float(later[0]) > 0 else float(later[0])
    axes.axvspan(begin, end, facecolor=NO_VALUE, linewidth=0)
    # On a face of its own, as SVG fades a hatch with the face below it.
    axes.axvspan(
        begin, end, facecolor="none", edgecolor=(0.5, 0.5, 0.5, 0.6), hatch="////", linewidth=0
    )


def spectrum_figure(
    frequency: np.ndarray, spectrum: np.ndarray, peak_count: np.ndarray, band: BandResult
) -> Figure:
    """Draw the distribution of peaks and the mean spectrum with the chosen band.

    Parameters
    ----------
    frequency : (frequency,) float
        GHz.
    spectrum : (frequency,) float
        Mean power.
    peak_count : (frequency,) int
        Pixels.
    band : BandResult
        Of the run.
    """
    figure = new_figure(11.4, 2.9)
    first, second = figure.subplots(1, 2)
    width = float(frequency[1] - frequency[0]) if len(frequency) > 1 else 1.0
    edges = np.append(frequency - width / 2, frequency[-1] + width / 2)
    first.stairs(peak_count, edges, fill=True, facecolor=COLOURS[0], edgecolor=COLOURS[0])
    first.set(ylabel="pixels", title="Distribution of peaks")
    second.plot(frequency, np.where(spectrum > 0, spectrum, np.nan), color=COLOURS[0])
    if np.any(spectrum > 0):
        _plain_log(second)
    second.set(ylabel="mean power", title="Mean spectrum of the time profiles")
    second.axvline(band.centre, color=COLOURS[1], linewidth=1)
    for axes in (first, second):
        axes.axvspan(band.low, band.high, color=COLOURS[1], alpha=0.25, linewidth=0)
        axes.set(xlabel="frequency / GHz", xlim=(0, float(frequency[-1])))
        axes.grid(True)
    return figure


def strength_figure(
    delays: np.ndarray,
    strength: np.ndarray,
    noise: float | None,
    pair_delay: np.ndarray | None,
    valid: Mapping[str, np.ndarray],
    at: float | None,
    leaked: np.ndarray | None = None,
) -> Figure:
    """Draw the strength of the wave and the share of valid pixels against delay.

    Parameters
    ----------
    delays, strength : (time,) float
        ps, and root mean square of the relative modulation.
    noise : float, optional
        Standard deviation of the noise that the band-pass lets through.
    pair_delay : (pair,) float, optional
        ps.
    valid : dict of str to (pair,) float
        Share of valid pixels of each region.
    at : float, optional
        The strongest time, ps.
    leaked : (time,) bool, optional
        Frames of which the wave tells nothing; see `uemdask.spectrum.leaked_frames`.
    """
    figure = new_figure(11.4, 2.7)
    first, second = figure.subplots(1, 2)
    told = strength if leaked is None else np.where(leaked, np.nan, strength)
    first.plot(delays, 100 * told, color=COLOURS[0])
    shade_leaked(first, delays, leaked)
    if noise is not None:
        first.axhline(100 * noise, color=INK, linewidth=0.8, linestyle="--", alpha=0.6)
        first.annotate(
            "noise",
            (1, 100 * noise),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
    first.set(ylabel="wave, rms / %", title="Strength of the wave", ylim=(0, None))
    for i, (name, share) in enumerate(valid.items()):
        assert pair_delay is not None
        second.plot(pair_delay, 100 * share, color=COLOURS[i % len(COLOURS)], label=_label(name))
    second.set(ylabel="valid pixels / %", title="Where a speed means something", ylim=(-2, 103))
    if len(valid) > 1:
        second.legend(loc="lower right", ncols=2)
    for axes in (first, second):
        axes.set_xlabel("delay / ps")
        axes.set_xlim(float(delays[0]), float(delays[-1]))
        _time_zero(axes, at)
    if not valid:
        second.text(0.5, 0.5, "no features yet", transform=second.transAxes, ha="center")
    return figure


def _label(name: str) -> str:
    """Return a name that matplotlib does not take for a hidden label."""
    return name if not name.startswith("_") else f" {name}"


def without_jumps(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and angles of a curve broken where it passes from 180 to -180 degrees.

    Examples
    --------
    >>> without_jumps(np.array([170.0, -175.0]))[1]
    array([ 170.,   nan, -175.])
    """
    jump = np.flatnonzero(np.abs(np.diff(angle)) > 180) + 1
    return (
        np.insert(np.arange(len(angle), dtype=float), jump, jump - 0.5),
        np.insert(np.asarray(angle, float), jump, np.nan),
    )


def angle_limits(angles: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the limits of an axis of directions: close to the curves where they agree.

    Examples
    --------
    >>> angle_limits([np.array([28.0, 32.0])])
    (10.0, 50.0)
    >>> angle_limits([np.array([-170.0, 170.0])])
    (-184.0, 184.0)
    """
    joined = np.radians(np.concatenate(angles) if angles else np.empty(0))
    if joined.size:
        middle = float(np.degrees(np.arctan2(np.sin(joined).mean(), np.cos(joined).mean())))
        reach = max(20.0, 1.5 * float(np.abs(np.degrees(joined) - middle).max()))
        if reach < 90 and abs(middle) + reach < 180:
            return round(middle - reach, 6), round(middle + reach, 6)
    return -184.0, 184.0


def motion_curves(
    delay: np.ndarray,
    rois: Sequence[str],
    value: Mapping[str, np.ndarray],
    sd: Mapping[str, np.ndarray],
    *,
    least_valid: float,
    at: float | None = None,
    phase: Sequence[np.ndarray] = (),
) -> Figure:
    """Draw speed and direction of each region against delay with bands of one standard error.

    Parameters
    ----------
    delay : (pair,) float
        ps.
    rois : sequence of str
    value, sd : dict of feature to (roi, pair) float
    least_valid : float
        Share of valid pixels that a region needs to be drawn.
    at : float, optional
        The strongest time, ps.
    phase : sequence of (pair,) float
        Speed of each region from the phase, whose mean is the headline.
    """
    figure = new_figure(11.4, 3.1)
    first, second = figure.subplots(1, 2)
    speeds, angles = [], []
    for i, name in enumerate(rois):
        colour = COLOURS[i % len(COLOURS)]
        known = value["valid_fraction"][i] >= least_valid
        speed = np.where(known, value["mean_speed"][i], np.nan)
        error = sd["mean_speed"][i]
        speeds.append(speed[np.isfinite(speed)])
        first.fill_between(delay, speed - error, speed + error, color=colour, alpha=0.25, lw=0)
        first.plot(delay, speed, color=colour, label=_label(name), marker=".", markersize=2.5)
        if len(phase):
            speeds.append(phase[i][np.isfinite(phase[i])])
            first.plot(delay, phase[i], color=INK, lw=2.6, alpha=0.25)
            first.plot(delay, phase[i], color=colour, lw=1.6, linestyle=(0, (5, 1.5)))
        angle = np.where(known, value["mean_angle"][i], np.nan)
        error = sd["mean_angle"][i]
        angles.append(angle[np.isfinite(angle)])
        place, broken = without_jumps(angle)
        position = np.interp(place, np.arange(len(delay)), delay)
        spread = np.interp(place, np.arange(len(delay)), error)
        second.fill_between(
            position, broken - spread, broken + spread, color=colour, alpha=0.25, lw=0
        )
        second.plot(position, broken, color=colour, marker=".", markersize=2.5)
    joined = np.concatenate(speeds) if speeds else np.empty(0)
    if joined.size:
        first.set_ylim(0, 1.25 * float(np.percentile(joined, 98)))
        if len(phase):
            first.plot([], [], color=INK, linestyle=(0, (5, 1.5)), label="from the phase")
        first.legend(loc="lower right", ncols=2)
    first.set(ylabel="mean speed / (nm/ps)", title="Speed of the fronts")
    second.set(
        ylabel="direction / degree",
        title="Direction of travel, anticlockwise from +x",
        ylim=angle_limits(angles),
    )
    if second.get_ylim()[1] > 180:
        second.set_yticks([-180, -90, 0, 90, 180])
    for axes in (first, second):
        axes.set_xlabel("delay / ps")
        axes.set_xlim(float(delay[0]), float(delay[-1]))
        _time_zero(axes, at)
    return figure


def alignment_figure(
    drift: np.ndarray,
    gain: np.ndarray,
    used: np.ndarray,
    delay: np.ndarray,
    *,
    error: np.ndarray | None = None,
    onset: tuple[float, float] | None = None,
) -> Figure:
    """Draw drift and brightness over the delay, and the way of the sample.

    Parameters
    ----------
    drift : (time, 2) float
        (x, y) in px.
    gain : (time,) float
    used : (time,) bool
        Frames that are used; the others are marked.
    delay : (time,) float
        In ps.
    error : (time, 2) float, optional
        Standard error of the drift, px; drawn as a band of two of them.
    onset : (float, float), optional
        First change and its standard error, ps.
    """
    figure = new_figure(11.4, 2.6)
    first, way, second = figure.subplots(1, 3, width_ratios=(5, 2.6, 5))
    for component, colour, label in (
        (0, COLOURS[0], "x, to the right"),
        (1, COLOURS[4], "y, downwards"),
    ):
        first.plot(delay, drift[:, component], color=colour, label=label)
        if error is not None:
            spread = 2 * np.nan_to_num(error[:, component])
            first.fill_between(
                delay,
                drift[:, component] - spread,
                drift[:, component] + spread,
                color=colour,
                alpha=0.25,
                lw=0,
            )
    first.legend(loc="best")
    first.set(ylabel="drift / px", title="Sample drift")
    way.plot(drift[:, 0], drift[:, 1], color=INK, lw=0.8)
    points = way.scatter(drift[:, 0], drift[:, 1], c=delay, s=6, cmap="viridis", zorder=3)
    figure.colorbar(points, ax=way, label="delay / ps")
    way.set(xlabel="x / px", ylabel="y / px", title="Way of the sample")
    way.set_aspect("equal", adjustable="datalim")
    way.invert_yaxis()
    way.grid(True)
    second.plot(delay, gain, color=COLOURS[0])
    second.set(ylabel="gain", title="Brightness against the reference")
    middles = (delay[1:] + delay[:-1]) / 2
    edges = np.array([2 * delay[0] - middles[0], *middles, 2 * delay[-1] - middles[-1]])
    for axes in (first, second):
        axes.set_xlabel("delay / ps")
        axes.grid(True)
        for bad in np.flatnonzero(~used):
            axes.axvspan(edges[bad], edges[bad + 1], color=COLOURS[4], alpha=0.2, lw=0)
        _time_zero(axes, None)
        if onset is not None:
            begin, end = onset[0] - onset[1], onset[0] + onset[1]
            axes.axvspan(begin, end, color=INK, alpha=0.15, lw=0)
        axes.set_xlim(float(edges[0]), float(edges[-1]))
    return figure


_FEW = 8  # entries of a phase whose points are marked

# What else stands in an entry of the history.
_NOT_LOSSES = {
    "step", "steps", "phase", "loss", "images_per_second", "seconds_left", "device", "threads",
}  # fmt: skip

_PHASES = {"pretrain": "Pre-training on the labels", "finetune": "Fine-tuning on reconstruction"}


def training_figure(history: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw the loss of each phase of the training, and its parts.

    Parameters
    ----------
    history : sequence of mapping
        Entries with ``step``, ``phase``, ``loss`` and the parts of the loss.

    Returns
    -------
    Figure or None
        None where no phase was recorded.
    """
    phases = [p for p in _PHASES if any(entry.get("phase") == p for entry in history)]
    if not phases:
        return None
    figure = new_figure(11.4, 2.8)
    for axes, phase in zip(np.atleast_1d(figure.subplots(1, len(phases))), phases, strict=True):
        entries = [entry for entry in history if entry.get("phase") == phase]
        step = [entry["step"] for entry in entries]
        parts = [name for name in entries[0] if name not in _NOT_LOSSES]
        # A short phase has an entry or two: a line alone would not be seen.
        dots: Any = {"marker": "o", "markersize": 4} if len(entries) <= _FEW else {}
        loss = [entry["loss"] for entry in entries]
        axes.plot(step, loss, color=INK, label="loss", lw=1.8, **dots)
        for i, name in enumerate(parts if len(parts) > 1 else []):
            axes.plot(
                step,
                [entry.get(name, np.nan) for entry in entries],
                color=COLOURS[i % len(COLOURS)],
                label=_label(name),
                lw=1,
                linestyle="-" if i < len(COLOURS) else "--",
                **dots,
            )
        axes.set(xlabel="step", ylabel="loss", title=_PHASES[phase])
        axes.grid(True)
        if len(parts) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure

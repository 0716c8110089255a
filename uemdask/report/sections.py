"""The sections of a run's page: which pictures there are, in order, and what they mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from uemdask.cube import onset_sentence
from uemdask.report import curves, maps
from uemdask.report.arrows import arrow_grid
from uemdask.report.causes import cause_of
from uemdask.report.downsampling import grid_of, read_small
from uemdask.report.report_data import LEAST_VALID, ReportData
from uemdask.report.style import to_svg

#: Pictures in the film strip, over one period; 256 px each are plenty at that size.
_FILM = 6
_FILM_PX = 256


@dataclass
class Picture:
    """A figure of a page with its caption."""

    svg: Markup
    caption: str
    wide: bool = True


@dataclass
class Section:
    """A section of a page."""

    key: str
    title: str
    figures: list[Picture] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def sections_of(found: ReportData) -> list[Section]:
    """Return the sections for which a run has something to show."""
    makers: tuple[Callable[[ReportData], Section | None], ...] = (
        _sample,
        _spectrum,
        _wave,
        _motion,
        _curves,
        _space_time,
        _alignment,
        _training,
    )
    return [section for make in makers if (section := make(found)) is not None]


def _sample(found: ReportData) -> Section | None:
    if "reference" not in found.maps:
        return None
    rois = (
        list(zip(found.features.rois, found.features.outlines, strict=True))
        if found.features is not None
        else []
    )
    figure = maps.reference_figure(
        found.maps["reference"],
        found.grid,
        mask=found.mask,
        unlit=found.unlit,
        rois=rois,
        strip=found.plot.corners if found.plot is not None else None,
    )
    what = (
        "before time zero" if found.before_zero else "of the whole series (none before time zero)"
    )
    caption = f"Reference: mean of the aligned frames {what}."
    if found.mask is not None and found.mask.any() and not found.mask.all():
        caption += " Orange: outline of the relevant pixels."
    if found.plot is not None:
        caption += " Dashed: strip of the space-time plot."
    if found.unlit is not None and found.unlit.any():
        caption += (
            f" Hatched, here and below: unlit pixels ({found.unlit.mean():.1%}), whose counts say "
            "nothing."
        )
    picture = Picture(to_svg(figure, "Reference image"), caption, wide=False)
    section = Section("sample", "Sample", [picture])
    wavelength = found.maps.get("wavelength")
    if wavelength is not None and found.mask is not None and found.mask.any():
        figure = maps.wavelength_figure(wavelength, found.mask, found.grid, found.unlit)
        text = (
            "Local wavelength of the relevant pixels, from the phase over the whole series. Where "
            "the speed changes with delay it is a mean over the series."
        )
        section.figures.append(Picture(to_svg(figure, "Wavelength map"), text, wide=False))
    return section


def _spectrum(found: ReportData) -> Section | None:
    if found.band is None or found.mask is None:
        return None
    run = found.run
    frequency = run.read("frequency")
    peaks = maps.peak_figure(
        found.maps["peak_frequency"],
        found.maps["peak_amplitude"],
        found.maps["peak_snr"],
        found.mask,
        found.grid,
        found.unlit,
    )
    spectrum = curves.spectrum_figure(
        frequency, run.read("spectrum"), run.read("peak_count"), found.band
    )
    return Section(
        "spectrum",
        "Spectrum",
        [
            Picture(
                to_svg(peaks, "Peak maps"),
                "Strongest peak of each pixel in the band. The line bounds the relevant pixels.",
            ),
            Picture(
                to_svg(spectrum, "Distribution of peaks and mean spectrum"),
                "Left: how many pixels have their strongest peak at each frequency. Right: mean "
                "power of all time profiles. Shaded: the band that is analysed.",
            ),
        ],
    )


def film_frames(delays: np.ndarray, at: float, period: float, count: int = _FILM) -> slice:
    """Return the frames of a film strip: evenly spread over about one period around a delay.

    Examples
    --------
    >>> film_frames(np.arange(0.0, 500.0, 5.0), 200.0, 60.0)
    slice(35, 47, 2)
    """
    middle = int(np.argmin(np.abs(delays - at)))
    near = delays[max(middle - 2, 0) : middle + 3]
    step = float(np.median(np.diff(near))) if len(near) > 1 else period
    stride = max(1, round(period / step / count))
    stride = min(stride, max(1, len(delays) // count))
    length = min(count * stride, len(delays))
    start = int(np.clip(middle - length // 2 + 1, 0, len(delays) - length))
    return slice(start, start + length, stride)


def _wave(found: ReportData) -> Section | None:
    if found.strength is None or found.band is None:
        return None
    at = found.pair_delay
    if at is None:
        at = float(found.delays[int(np.argmax(found.strength))])
    frames = film_frames(found.delays, at, 1e3 / found.band.centre)
    small = grid_of(found.run, _FILM_PX)
    wave = read_small(found.run, "wave", _FILM_PX, (frames,))
    film = maps.film_figure(wave, found.delays[frames], small)
    features = found.features
    valid = (
        dict(zip(features.rois, features.value["valid_fraction"], strict=True))
        if features is not None
        else {}
    )
    results = found.run.results("spectrum")
    strength = curves.strength_figure(
        found.delays,
        found.strength,
        results.wave_noise if "wave_noise" in results else None,
        features.delay if features is not None else None,
        valid,
        at,
        found.leaked,
    )
    return Section(
        "wave",
        "Wave",
        [
            Picture(
                to_svg(film, "Frames of the wave"),
                "The wave over about one period: aligned frames over the reference, band-passed "
                "and smoothed, on one scale.",
            ),
            Picture(
                to_svg(strength, "Strength of the wave and share of valid pixels"),
                "Left: root mean square in the box where the wave is best seen. Right: share of "
                "each region's pixels that are relevant, travelling and move by less than 0.4 "
                "wavelengths. Dotted: the time of the maps below." + _hatched(found),
            ),
        ],
    )


def _hatched(found: ReportData) -> str:
    if found.leaked is None or not found.leaked.any():
        return ""
    return (
        " Hatched: before time zero the window of the band-pass carries a trace of what comes "
        "after it, so nothing can be told there."
    )


def _motion(found: ReportData) -> Section | None:
    if found.motion is None or found.mask is None or found.pair is None:
        return None
    section = Section("motion", "Motion")
    if not np.isfinite(found.motion.speed).any():
        cause = cause_of(found)
        section.lines.append(
            f"No pixel has a valid speed{': ' if cause else ''}{cause}. There is no map to show."
        )
        return section
    figure = maps.motion_figure(
        found.motion, arrow_grid(found.motion, found.grid), found.mask, found.grid, found.unlit
    )
    start, end = (float(found.run.read(n)[found.pair]) for n in ("time_from", "time_to"))
    section.figures.append(
        Picture(
            to_svg(figure, "Speed, direction and uncertainty"),
            f"From {start:g} to {end:g} ps, the strongest time of the main region. Arrows: "
            "velocity averaged over blocks. Grey: no valid speed. Right: standard deviation that "
            "is stated for the speed of a pixel.",
        )
    )
    return section


def _curves(found: ReportData) -> Section | None:
    features = found.features
    if features is None:
        return None
    if not np.any(features.value["valid_fraction"] >= LEAST_VALID):
        return None
    figure = curves.motion_curves(
        features.delay,
        features.rois,
        features.value,
        features.sd,
        least_valid=LEAST_VALID,
        at=found.pair_delay,
        phase=[headline.speeds for headline in found.headlines or []],
    )
    return Section(
        "regions",
        "Regions",
        [
            Picture(
                to_svg(figure, "Speed and direction of each region"),
                "Means of the flow over each region with bands of one standard error, where at "
                f"least {LEAST_VALID:.0%} of its pixels are valid. Dashed: the speed from the "
                "phase of the wave, without the flow, whose mean is the headline. An error "
                "that all pixels share, such as a wrong pixel size, is not in the bands.",
            )
        ],
    )


def _space_time(found: ReportData) -> Section | None:
    plot, band = found.plot, found.band
    if plot is None or band is None or found.pair_delay is None or found.strip_speed is None:
        return None
    length = found.gradient.wavelength if found.gradient is not None else None
    figure = maps.space_time_figure(
        plot,
        speed=found.strip_speed,
        at=found.pair_delay,
        wavelength=length,
        period=1e3 / band.centre,
        leaked=found.leaked,
    )
    caption = (
        f"Wave averaged along its fronts in the dashed strip, towards {plot.angle:.0f}°. Lines: "
        f"the flow's speed there, {found.strip_speed:.3g} nm/ps at {found.pair_delay:.0f} ps. "
    )
    if found.slope is not None:
        caption += (
            f"The slope of the fronts themselves at that time is {found.slope.speed:.3g} nm/ps."
        )
    else:
        caption += "The strip is too short or has too few delays to measure a slope in it."
    caption += _hatched(found)
    return Section(
        "space-time", "Space-time plot", [Picture(to_svg(figure, "Space-time plot"), caption)]
    )


def _alignment(found: ReportData) -> Section | None:
    if "align" not in found.done:
        return None
    run = found.run
    results = run.results("align")
    time = results.time_zero_ps
    figure = curves.alignment_figure(
        run.read("drift"),
        run.read("gain"),
        run.read("frame_ok"),
        run.read("time"),
        error=run.read("drift_sd") if "drift_sd" in run else None,
        onset=None if time is None else (time, float(results.time_zero_sd_ps or 0.0)),
    )
    caption = (
        "Drift and brightness of each frame against the reference, over the delay; the band is "
        "twice the standard error of the drift."
    )
    table = run.stage("align")["parameters"].get("drift_table")
    if table:
        fitted = "drift_sd" in run and np.isfinite(run.read("drift_sd")).any()
        how = "is fitted to the frames, beginning with" if fitted else "is that of"
        caption += f" Drift {how} your table {Path(table).name}."
    onset = onset_sentence(results)
    if onset:
        caption += f" Change of the sample: {onset}" + (" (grey)." if time is not None else ".")
    if results.breathing_ghz:
        caption += (
            f" The whole field breathes at {results.breathing_ghz:.3g} GHz; that is left in the "
            "frames and not taken for gain."
        )
    if found.flagged:
        caption += " Shaded: flagged frames, which are left out."
    return Section(
        "alignment", "Alignment", [Picture(to_svg(figure, "Drift and brightness"), caption)]
    )


def read_history(model: Path) -> list[dict[str, Any]]:
    """Return the training history beside a model, empty where there is none."""
    # PyTorch comes with the stage and takes seconds to import; many pages do not need it.
    from uemdask.stages.training_history import history_path

    path = history_path(model)
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # torn by a kill
    return [entry for entry in entries if isinstance(entry, dict)]


def guard_sentence(history: list[dict[str, Any]]) -> str:
    """Return in one sentence which weights the guard kept, and why."""
    verdict: Mapping[str, Any] | None = next(
        (entry for entry in reversed(history) if entry.get("phase") == "guard"), None
    )
    if verdict is None:
        return (
            "Fine-tuning was not judged on held-out crops."
            if any(entry.get("phase") == "finetune" for entry in history)
            else "There was no fine-tuning."
        )
    before, after = verdict["pretrained_error"], verdict["finetuned_error"]
    kept = "fine-tuned" if verdict["kept"] == "finetuned" else "pre-trained"
    return (
        f"Guard: the {kept} weights were kept; error on held-out crops {before:.3f} px before "
        f"and {after:.3f} px after fine-tuning."
    )


def _training(found: ReportData) -> Section | None:
    results = found.run.results("train")
    if "train" not in found.done or "model" not in results:
        return None
    section = Section("training", "Training")
    if not results.trained:
        section.lines.append(
            "There was nothing to train on: no run has relevant pixels."
            if results.runs is not None
            else "An existing model was used; it was not trained on this run."
        )
        return section
    history = read_history(Path(results.model))
    figure = curves.training_figure(history)
    if figure is None:
        section.lines.append("The history of the training is no longer beside the model.")
        return section
    section.figures.append(
        Picture(
            to_svg(figure, "Training curves"),
            "Loss of each phase, smoothed over about 20 steps. " + guard_sentence(history),
        )
    )
    return section

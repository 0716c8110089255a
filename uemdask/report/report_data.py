"""What a run found: the numbers of the headline, and whether they can be trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from uemdask.cube import Run, missing_stages
from uemdask.cube.results import BandResult
from uemdask.execution.ledger import ledger_path, read_entries
from uemdask.execution.ledger_entries import Failed
from uemdask.regions import Roi, rasterise
from uemdask.report.downsampling import Grid, Motion, grid_of, read_motion, read_small
from uemdask.report.space_time_slope import (
    PhaseGradient,
    Slope,
    SpaceTime,
    average_along_fronts,
    fit_slope,
    phase_gradient,
)
from uemdask.report.wave_box import WaveBox, read_wave_box
from uemdask.spectrum import leaked_frames
from uemdask.spectrum.harmonics import FEWEST_DELAYS

#: Longest edge of the maps in px: sharp on half a page of a laptop.
MAP_PX = 512
#: Share of a region that must be valid for a mean over it to be shown.
LEAST_VALID = 0.05

_WINDOW = 0.5  # of the band-pass, periods, unless a run says otherwise

Verdict = Literal["good", "look", "bad", "open"]


class Check(NamedTuple):
    """One question about the result, and its answer."""

    question: str
    answer: str
    verdict: Verdict


class StageFailure(NamedTuple):
    """What stopped a run."""

    stage: str
    message: str


@dataclass
class Features:
    """Feature vectors of the regions of a run.

    Attributes
    ----------
    rois, outlines : list of str
        Names, and GeoJSON in nm.
    value, sd : dict of str to (roi, pair) float64
        By feature.
    delay : (pair,) float64
        Half way between the two frames, ps.
    """

    rois: list[str]
    outlines: list[str]
    value: dict[str, npt.NDArray[np.float64]]
    sd: dict[str, npt.NDArray[np.float64]]
    delay: npt.NDArray[np.float64]


@dataclass(frozen=True)
class StoredHeadline:
    """What the stored headline says of the main region; NaN where there is no speed.

    Attributes
    ----------
    speed, speed_sd, speeds : float, float, (pair,)
        nm/ps; of each trusted pair, NaN elsewhere.
    direction, direction_sd, spread : float
        Degree.
    frequency, wavelength : float
        GHz and nm.
    first, last : float
        Delays that it covers, ps.
    missing : str
        Why there is no speed.
    """

    speed: float
    speed_sd: float
    direction: float
    direction_sd: float
    spread: float
    frequency: float
    wavelength: float
    first: float
    last: float
    missing: str
    speeds: npt.NDArray[np.float64]

    @property
    def known(self) -> bool:
        """Whether there is a speed."""
        return bool(np.isfinite(self.speed))

    @property
    def ends(self) -> tuple[float, float]:
        """Speeds at the first and last delays, nm/ps: medians of an eighth of the pairs each."""
        told = self.speeds[np.isfinite(self.speeds)]
        count = max(1, len(told) // 8)
        return float(np.median(told[:count])), float(np.median(told[-count:]))


@dataclass
class ReportData:
    """Everything that a page shows of a run, read at the size of a page.

    What a run does not have yet is None.
    """

    run: Run
    name: str
    done: list[str]
    missing: list[str]
    failure: StageFailure | None
    frames: int
    flagged: list[tuple[int, float, str, str]]
    delays: npt.NDArray[np.float64]
    before_zero: int
    grid: Grid
    band: BandResult | None = None
    mask: npt.NDArray[np.bool_] | None = None
    maps: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    pairs: int | None = None
    box: WaveBox | None = None
    strength: npt.NDArray[np.float64] | None = None
    leaked: npt.NDArray[np.bool_] | None = None
    features: Features | None = None
    main: int = 0
    headlines: list[StoredHeadline] | None = None
    unlit: npt.NDArray[np.bool_] | None = None
    modes: list[str] | None = None
    travelling_share: npt.NDArray[np.float64] | None = None
    mode_probability: npt.NDArray[np.float64] | None = None
    pair: int | None = None
    pair_delay: float | None = None
    motion: Motion | None = None
    plot: SpaceTime | None = None
    slope: Slope | None = None
    gradient: PhaseGradient | None = None
    strip_speed: float | None = None
    strip_angle: float | None = None
    checks: list[Check] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def main_value(self, name: str) -> tuple[float, float] | None:
        """Return a feature of the main region at the strongest time, and its uncertainty."""
        if self.features is None or self.pair is None:
            return None
        value = float(self.features.value[name][self.main, self.pair])
        sd = float(self.features.sd[name][self.main, self.pair])
        return (value, sd) if np.isfinite(value) else None

    @property
    def main_roi(self) -> str | None:
        """Name of the main region."""
        return None if self.features is None else self.features.rois[self.main]

    @property
    def headline(self) -> StoredHeadline | None:
        """Headline of the main region."""
        return None if self.headlines is None else self.headlines[self.main]

    @property
    def main_travelling_share(self) -> float:
        """Share of the main region's pixels with a valid speed; NaN where it is not known."""
        return float("nan") if self.travelling_share is None else self.travelling_share[self.main]

    @property
    def main_mode(self) -> tuple[str, float] | None:
        """Mode of the main region with its probability."""
        if self.modes is None or self.mode_probability is None:
            return None
        return self.modes[self.main], float(self.mode_probability[self.main].max())

    @property
    def map_wavelength(self) -> float | None:
        """Median of the map of wavelengths over the relevant pixels, nm."""
        if self.mask is None or "wavelength" not in self.maps:
            return None
        values = self.maps["wavelength"][self.mask]
        values = values[np.isfinite(values)]
        return float(np.median(values)) if values.size else None


def failure_of(run: Run) -> StageFailure | None:
    """Return what last stopped a run, unless its stage has been finished since."""
    found = None
    for entry in read_entries(ledger_path(run.path)):
        if isinstance(entry, Failed):
            found = entry
    if found is None or run.is_done(found.stage):
        return None
    return StageFailure(found.stage, found.failed)


def gather(run: Run) -> ReportData:
    """Read what a page shows of a run, and nothing else.

    Parameters
    ----------
    run : Run
        With any of its stages done.

    Returns
    -------
    ReportData
        Memory stays at a few hundred MiB whatever the size of the run.
    """
    missing = missing_stages(run)
    stages = run.record["stages"]
    delays, ok = run.read("time"), run.read("frame_ok")
    flags, files = run.read("frame_flag"), run.read("source_file")
    found = ReportData(
        run=run,
        name=run.name,
        done=[name for name in stages if name not in missing],
        missing=missing,
        failure=failure_of(run),
        frames=len(delays),
        flagged=[
            (int(i), float(delays[i]), str(flags[i]), str(files[i])) for i in np.flatnonzero(~ok)
        ],
        delays=delays,
        before_zero=int(np.count_nonzero(ok & (delays < 0))),
        grid=grid_of(run, MAP_PX),
    )
    if run.is_done("align"):
        found.maps["reference"] = read_small(run, "reference", MAP_PX)
        if "unlit" in run:
            found.unlit = read_small(run, "unlit", MAP_PX) > 0.5
    if run.is_done("spectrum"):
        found.band = run.results("spectrum").band
        for name in ("peak_frequency", "peak_amplitude", "peak_snr", "wavelength"):
            found.maps[name] = read_small(run, name, MAP_PX)
        found.mask = read_small(run, "mask", MAP_PX) > 0.5
        if np.count_nonzero(ok) >= FEWEST_DELAYS:
            found.leaked = leaked_frames(
                delays[ok],
                centre=found.band.centre,
                window=stages["spectrum"]["parameters"].get("window", _WINDOW),
                at=delays,
            )
    if run.is_done("pairs"):
        found.pairs = run.sizes["pair"]
    if run.is_done("feature"):
        found.features = _read_features(run)
        if "roi_speed" in run:
            found.headlines = _read_headlines(run)
        found.main = _main_region(found.features)
    if run.is_done("mode") and run.is_done("feature"):
        found.modes = [str(mode) for mode in run.read("mode")]
        found.mode_probability = run.read("mode_probability")
        if "roi_travelling_share" in run:
            found.travelling_share = run.read("roi_travelling_share")
    if found.mask is not None and found.band is not None:
        _find_strongest_time(found)
    if run.is_done("flow") and found.pair is not None:
        found.motion = read_motion(run, found.pair, MAP_PX)
        if found.box is not None:
            _draw_space_time(found)
    return found


def _read_features(run: Run) -> Features:
    names = [str(name) for name in run.read("feature")]
    value, sd = run.read("roi_feature"), run.read("roi_feature_sd")
    return Features(
        rois=[str(name) for name in run.read("roi")],
        outlines=[str(text) for text in run.read("roi_outline")],
        value={name: value[:, i] for i, name in enumerate(names)},
        sd={name: sd[:, i] for i, name in enumerate(names)},
        delay=(run.read("time_from") + run.read("time_to")) / 2,
    )


def _read_headlines(run: Run) -> list[StoredHeadline]:
    names = {
        "speed": "roi_speed",
        "speed_sd": "roi_speed_sd",
        "direction": "roi_direction",
        "direction_sd": "roi_direction_sd",
        "spread": "roi_direction_spread",
        "frequency": "roi_frequency",
        "wavelength": "roi_wavelength",
        "first": "roi_delay_first",
        "last": "roi_delay_last",
        "speeds": "roi_pair_speed",
    }
    values = {key: run.read(name) for key, name in names.items()}
    return [
        StoredHeadline(missing=str(reason), **{key: value[i] for key, value in values.items()})
        for i, reason in enumerate(run.read("roi_speed_missing"))
    ]


def _main_region(features: Features) -> int:
    """Return the first region with a speed that means something, else the first."""
    seen = np.nanmax(np.nan_to_num(features.value["valid_fraction"]), axis=1, initial=0)
    speaking = np.flatnonzero(seen >= LEAST_VALID)
    return int(speaking[0]) if speaking.size else 0


def region_pixels(outline: str, grid: Grid) -> npt.NDArray[np.bool_]:
    """Return the pixels of a small picture that lie in a region, (y, x)."""
    try:
        roi = Roi(name="region", geojson=json.loads(outline))
    except (ValidationError, json.JSONDecodeError):
        # An empty region has an outline without a ring, which is no polygon.
        return np.zeros((len(grid.y), len(grid.x)), bool)
    return rasterise(roi, grid.y, grid.x)


def _find_strongest_time(found: ReportData) -> None:
    assert found.mask is not None
    assert found.band is not None
    region = found.mask
    if found.features is not None:
        inside = region & region_pixels(found.features.outlines[found.main], found.grid)
        region = inside if inside.any() else region
    # An export, or a run whose wave was deleted to save space, has none to look at.
    if "wave" in found.run:
        weight = np.where(region, found.maps["peak_amplitude"], 0)
        found.box = read_wave_box(found.run, weight, found.grid, found.map_wavelength)
        found.strength = found.box.strength
    if found.pairs is None:
        return
    first, second = found.run.read("frame_from"), found.run.read("frame_to")
    score = np.ones(len(first))
    if found.strength is not None:
        score = np.sqrt(found.strength[first] * found.strength[second])
    delay = (found.delays[first] + found.delays[second]) / 2
    # Over a period, or a front that happens to fill the box would decide.
    period = 1e3 / found.band.centre
    near = np.exp(-0.5 * ((delay[:, None] - delay) / (period / 2)) ** 2)
    score = near @ score / near.sum(axis=1)
    if found.features is not None:
        share = np.nan_to_num(found.features.value["valid_fraction"][found.main])
        score = score * share if share.any() else score
    found.pair = int(np.argmax(score))
    found.pair_delay = float(delay[found.pair])


def _draw_space_time(found: ReportData) -> None:
    """Average the wave along the fronts, and measure it again without the network."""
    assert found.box is not None
    assert found.motion is not None
    assert found.band is not None
    assert found.pair_delay is not None
    box, frequency, at = found.box, found.band.centre, found.pair_delay
    length = found.map_wavelength
    found.gradient = phase_gradient(box, found.delays, frequency, at, length)
    y, x = found.grid.y[:, None] - box.y.mean(), found.grid.x - box.x.mean()
    radius = found.gradient.radius if found.gradient else float(np.ptp(box.x)) / 4
    near = (np.hypot(y, x) <= radius) & np.isfinite(found.motion.speed)
    if not near.any():
        return
    u, v = (component[near].mean(dtype=np.float64) for component in found.motion.velocity)
    found.strip_speed = float(np.hypot(u, v))
    found.strip_angle = float(np.degrees(np.arctan2(-v, u)))
    found.plot = average_along_fronts(box, found.delays, found.strip_angle, length)
    reach = 1.25 * found.gradient.wavelength if found.gradient is not None else np.inf
    found.slope = fit_slope(found.plot, frequency, at, reach=reach)

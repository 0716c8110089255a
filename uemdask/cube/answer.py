"""The answer of a run: speed, direction, frequency and mode of each region, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uemdask.cube.store import Run

#: Share of a region's pixels that travel, from which it is said of a region that does not.
LEAST_TRAVELLING = 0.05
#: Circular standard deviation, degree, beyond which no single direction is that of the fronts.
ONE_WAY = 30.0


def mode_statement(mode: str, travelling_share: float) -> str:
    """Say how a region moves: its mode, and that a part of it travels where the whole does not.

    Parameters
    ----------
    mode : str
        As in the store.
    travelling_share : float
        Share of its pixels with a valid speed, 0..1.

    Examples
    --------
    >>> mode_statement("standing", 0.12), mode_statement("travelling", 0.9)
    ('standing, but 12 % of its pixels travel', 'travelling')
    """
    if mode == "travelling" or not travelling_share >= LEAST_TRAVELLING:
        return mode
    return f"{mode}, but {100 * travelling_share:.0f} % of its pixels travel"


def with_error(value: float, sd: float) -> str:
    """Return a number with its uncertainty, to the digits that the uncertainty allows.

    Examples
    --------
    >>> with_error(1.9442, 0.0231), with_error(33.5, 1.24), with_error(5.0, float("nan"))
    ('1.944 ± 0.023', '33.5 ± 1.2', '5')
    """
    if not sd > 0 or sd == float("inf"):
        return f"{value:.3g}"
    leading = int(f"{sd:.1e}".split("e")[1])
    digits = min(max(1 - leading, 0), 4)
    return f"{value:.{digits}f} ± {sd:.{digits}f}"


@dataclass(frozen=True)
class Answer:
    """What a run says of one region.

    Attributes
    ----------
    roi : str
        Its name.
    speed, speed_sd : float
        In nm/ps; NaN where no speed is valid.
    direction, direction_sd, spread : float
        In degrees, anticlockwise from +x as displayed; `spread` is the circular standard deviation
        of the directions within the region.
    first, last : float
        Delays that the speed covers, ps.
    frequency : float
        Of the wave, GHz.
    missing : str
        Why there is no speed.
    mode : str
        Kind of motion, as `mode_statement` says it; empty where it is not known yet.
    probability : float
        Of that mode, 0..1.
    """

    roi: str
    speed: float
    speed_sd: float
    direction: float
    direction_sd: float
    spread: float
    first: float
    last: float
    frequency: float
    missing: str = ""
    mode: str = ""
    probability: float = np.nan

    @property
    def motion(self) -> str:
        """Speed and direction, or that there are none."""
        if np.isnan(self.speed):
            return f"no speed ({self.missing})" if self.missing else "no speed"
        where = (
            f"towards {with_error(self.direction, self.direction_sd)}°"
            if self.spread <= ONE_WAY
            else f"in many directions (spread ± {self.spread:.0f}°)"
        )
        return (
            f"{with_error(self.speed, self.speed_sd)} nm/ps {where} "
            f"({self.first:g} to {self.last:g} ps)"
        )

    def __str__(self) -> str:
        mode = f"{self.mode} ({self.probability:.2f})" if self.mode else "mode not known yet"
        return f"{self.roi}: {self.motion}, {self.frequency:.4g} GHz, {mode}"


def answers_of(run: Run) -> list[Answer]:
    """Return the answer for each region of interest; none before the stage ``feature`` is done.

    It is the headline: the mean over all delays that are trusted, with its standard error.
    """
    if not run.is_done("feature") or "roi_speed" not in run:
        return []
    columns = {
        "speed": "roi_speed",
        "speed_sd": "roi_speed_sd",
        "direction": "roi_direction",
        "direction_sd": "roi_direction_sd",
        "spread": "roi_direction_spread",
        "first": "roi_delay_first",
        "last": "roi_delay_last",
        "frequency": "roi_frequency",
    }
    value = {key: run.read(name) for key, name in columns.items()}
    # Without a speed the frequency is that of the band.
    centre = run.results("spectrum").band.centre
    value["frequency"] = np.where(np.isfinite(value["speed"]), value["frequency"], centre)
    rois, missing = run.read("roi"), run.read("roi_speed_missing")
    modes, probability, share = (
        [""] * len(rois),
        np.full((len(rois), 1), np.nan),
        np.zeros(len(rois)),
    )
    if run.is_done("mode"):
        modes, probability = [str(mode) for mode in run.read("mode")], run.read("mode_probability")
        if "roi_travelling_share" in run:
            share = run.read("roi_travelling_share")
    return [
        Answer(
            roi=str(roi),
            **{key: float(column[i]) for key, column in value.items()},
            missing=str(missing[i]),
            mode=mode_statement(modes[i], float(share[i])),
            probability=float(probability[i].max()),
        )
        for i, roi in enumerate(rois)
    ]

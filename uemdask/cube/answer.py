"""The answer of a run: speed, direction, frequency and mode of each region, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uemdask.cube.store import Run

#: Share of a region that must be valid for its speed to mean something.
_LEAST_VALID = 0.05


@dataclass(frozen=True)
class Answer:
    """What a run says of one region.

    Attributes
    ----------
    roi : str
        Its name.
    speed, speed_sd : float
        In nm/ps; NaN where no speed is valid.
    direction, direction_sd : float
        In degrees, anticlockwise from +x as displayed.
    first, last : float
        Delays that the speed covers, ps.
    frequency : float
        Of the wave, GHz.
    mode : str
        Kind of motion; empty where it is not known yet.
    probability : float
        Of that mode, 0..1.
    """

    roi: str
    speed: float
    speed_sd: float
    direction: float
    direction_sd: float
    first: float
    last: float
    frequency: float
    mode: str = ""
    probability: float = np.nan

    @property
    def motion(self) -> str:
        """Speed and direction, or that there are none."""
        if np.isnan(self.speed):
            return "no valid speed"
        return (
            f"{self.speed:.4g} ± {self.speed_sd:.2g} nm/ps towards {self.direction:.1f} ± "
            f"{self.direction_sd:.1f}° ({self.first:g} to {self.last:g} ps)"
        )

    def __str__(self) -> str:
        mode = f"{self.mode} ({self.probability:.2f})" if self.mode else "mode not known yet"
        return f"{self.roi}: {self.motion}, {self.frequency:.4g} GHz, {mode}"


def answers_of(run: Run) -> list[Answer]:
    """Return the answer for each region of interest; none before the stage ``feature`` is done.

    Speed and direction are means over the pairs in which enough of the region is valid, weighted by
    how much; their errors are those of a typical pair, for what a pair has wrong others have too.
    """
    if not run.is_done("feature"):
        return []
    names = [str(name) for name in run.read("feature")]
    value = dict(zip(names, np.moveaxis(run.read("roi_feature"), 1, 0), strict=True))
    error = dict(zip(names, np.moveaxis(run.read("roi_feature_sd"), 1, 0), strict=True))
    begins, ends = run.read("time_from"), run.read("time_to")
    frequency = float(run.stage("spectrum")["results"]["band"]["centre"])
    known = run.is_done("mode")
    found = []
    for i, roi in enumerate(run.read("roi")):
        share = np.nan_to_num(value["valid_fraction"][i])
        told = (share >= _LEAST_VALID) & np.isfinite(value["mean_speed"][i])
        numbers = dict.fromkeys(("speed", "speed_sd", "direction", "direction_sd"), np.nan)
        if told.any():
            weight = np.where(told, share, 0) / share[told].sum()
            numbers = {
                "speed": _mean(value["mean_speed"][i], weight),
                "speed_sd": _mean(error["mean_speed"][i] ** 2, weight) ** 0.5,
                "direction": _mean_angle(value["mean_angle"][i], weight),
                "direction_sd": _mean(error["mean_angle"][i] ** 2, weight) ** 0.5,
            }
        found.append(
            Answer(
                roi=str(roi),
                **numbers,
                first=float(begins[told].min(initial=np.inf)),
                last=float(ends[told].max(initial=-np.inf)),
                frequency=frequency,
                mode=str(run.read("mode")[i]) if known else "",
                probability=float(run.read("mode_probability")[i].max()) if known else np.nan,
            )
        )
    return found


def _mean(values: np.ndarray, weight: np.ndarray) -> float:
    return float(np.sum(np.nan_to_num(values) * weight))


def _mean_angle(degrees: np.ndarray, weight: np.ndarray) -> float:
    turns = np.exp(1j * np.radians(np.nan_to_num(degrees)))
    return float(np.degrees(np.angle(np.sum(turns * weight))))

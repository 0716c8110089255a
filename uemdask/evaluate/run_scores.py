"""Errors of a run against a known truth, with zero flow and classical estimators beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.cube import Run
from uemdask.cube.blocks import Place
from uemdask.cube.layout import Region
from uemdask.errors import UemError
from uemdask.evaluate.classical import farneback_flows, wave_flows, zero_flows
from uemdask.evaluate.masks import area_under_curve, intersection_over_union
from uemdask.evaluate.scores import FlowScores, forward_backward_error, score_flow, warp_error
from uemdask.evaluate.strength import strength_facts, wave_there
from uemdask.evaluate.table import scores_as_dict, scores_as_text
from uemdask.labels.optical_flow import Method
from uemdask.motion import along_pixel_normal
from uemdask.network import model_digest
from uemdask.network.flow import flow_block
from uemdask.simulate import Truth

_WARPED_PAIRS = 20  # looked at for the warp error
_TURNED_PAIRS = 6  # looked at for the forward-backward error


@dataclass(frozen=True)
class RunScores:
    """How a run compares with the truth.

    Attributes
    ----------
    flow : dict of str to FlowScores
        By estimator; empty where the truth has no travelling wave.
    facts : dict of str to float
        Further numbers, name with unit to value.
    mode_found, mode_true : str
        Kind of motion.
    """

    flow: dict[str, FlowScores]
    facts: dict[str, float]
    mode_found: str
    mode_true: str

    def as_text(self) -> str:
        """Lay out the scores as a table and lines."""
        lines = [scores_as_text(self.flow), ""] if self.flow else []
        width = max(len(name) for name in [*self.facts, "mode"])
        lines += [f"{name:<{width}}  {value:.4g}" for name, value in self.facts.items()]
        lines.append(f"{'mode':<{width}}  {self.mode_found} (true: {self.mode_true})")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "flow": scores_as_dict(self.flow),
            "facts": self.facts,
            "mode": {"found": self.mode_found, "true": self.mode_true},
        }


def evaluate_run(
    store: Path, truth: Path, *, tell: Callable[[str], None] = lambda step: None
) -> RunScores:
    """Score a run against the truth of the same acquisition.

    Flow is compared in the reference frame, over the truth mask and the pairs where the wave is
    present: where the truth tells its strength, at pixels that have a quarter of their own peak in
    both frames, and 8 px away from what is not lit. What a run does not have yet is left out.

    Parameters
    ----------
    store : Path
        The run.
    truth : Path
        A truth file, see `uemdask.simulate.Truth`.
    tell : callable
        Is told what is computed next; a step takes seconds to a minute.

    Raises
    ------
    UemError
        If the truth is not that of this run.
    """
    run, known = Run(store), Truth.load(truth)
    sizes = run.sizes
    delays = run.read("time")
    if known.mask.shape != (sizes["y"], sizes["x"]) or not (
        len(delays) == len(known.delays) and np.allclose(delays, known.delays, atol=1e-6)
    ):
        raise UemError(
            f"{truth}: {len(known.delays)} delays and {known.mask.shape} px are not those of "
            f"{store} ({len(delays)}, {(sizes['y'], sizes['x'])}); name the truth of this run"
        )
    flow: dict[str, FlowScores] = {}
    facts: dict[str, float] = {}
    if "drift" in run:
        error = run.read("drift") - known.drift
        facts["drift error, px rms"] = float(np.sqrt(np.mean(np.sum(error**2, axis=1))))
        facts["gain error, rms"] = float(np.std(run.read("gain") / known.gain))
    if "mask" in run:
        if known.mask.any() and not known.mask.all():
            facts["mask AUC of peak_snr"] = area_under_curve(run.read("peak_snr"), known.mask)
        if known.mask.any():
            facts["mask intersection over union"] = intersection_over_union(
                run.read("mask"), known.mask
            )
    if "frame_from" in run:
        chosen = _same_pairs(run)
        mode = known.mode
        travelling = mode == "travelling" and bool(known.present[chosen].any())
        if travelling:
            flow = _flow_scores(run, known, chosen, tell)
        if travelling and "flow" in run and "wave" in run:
            tell("the network there and back")
            facts["warp error of the network, of the wave"] = _warp_error(run, known, chosen)
            turned = _forward_backward(run, known, chosen)
            if turned is not None:
                facts["forward-backward error of the network, px"] = turned
        if "valid" in run:
            valid = run.array("valid")
            present = known.present[chosen] if travelling else np.ones(len(chosen), bool)
            region = known.mask if travelling else np.ones_like(known.mask)
            share = [valid[i][region].mean() for i in np.flatnonzero(present)]
            facts["valid share"] = float(np.mean(share)) if share else 0.0
            facts |= strength_facts(run, known, chosen)
    found = str(run.read("mode")[0]) if "mode" in run else "not classified"
    return RunScores(flow, facts, found, known.mode)


def _same_pairs(run: Run) -> np.ndarray:
    """Return for each pair of the run the pair of the truth, which is that of all frames."""
    first, second = run.read("frame_from"), run.read("frame_to")
    if np.any(second != first + 1):
        raise UemError(
            f"{run.path}: some frames are flagged, so pairs skip them; the truth has none such"
        )
    return first


def _flow_scores(
    run: Run, known: Truth, chosen: np.ndarray, tell: Callable[[str], None]
) -> dict[str, FlowScores]:
    # A truth moves along the normal in nm, an estimator along that in pixel space.
    truth = along_pixel_normal(known.flow[chosen], run.pixel_size)
    present = known.present[chosen]
    pairs = np.stack([run.read("frame_from"), run.read("frame_to")], axis=1)
    estimates: dict[str, Any] = {"zero flow": zero_flows(len(pairs), known.mask.shape)}
    if "intensity" in run:  # an export has no frames
        estimates["raw Farneback"] = farneback_flows(run.array("intensity"), pairs.tolist())
    if "wave" in run:
        found = run.results("spectrum")
        methods: dict[str, Method] = {"wave Farneback": "farneback", "wave DIS": "dis"}
        for name, method in methods.items():
            estimates[name] = wave_flows(
                run.array("wave"),
                pairs.tolist(),
                scale=found.grey_scale,
                wavelength=found.wavelength_px,
                method=method,
            )
    if "label" in run:
        estimates["labels"] = _each(run, "label")
    there = wave_there(known, chosen)
    scores = {}
    for name, estimate in estimates.items():
        tell(name)
        scores[name] = score_flow(estimate, truth, there, present)
    if "flow" in run:
        tell("flow")
        scores["flow"] = score_flow(
            _each(run, "flow"), truth, there, present, flow_sd=_each(run, "flow_sd")
        )
    return scores


def _warp_error(run: Run, known: Truth, chosen: np.ndarray) -> float:
    """Return the mean warp error over a sample of the pairs in which the wave is present."""
    pairs = _sample(known.present[chosen], _WARPED_PAIRS)
    wave, flow = run.array("wave"), run.array("flow")
    ends = np.stack([run.read("frame_from"), run.read("frame_to")], axis=1)
    errors = [
        warp_error(
            wave[int(ends[pair, 0])],
            wave[int(ends[pair, 1])],
            flow[int(pair)],
            known.mask,
        )
        for pair in pairs
    ]
    return float(np.mean(errors))


def _forward_backward(run: Run, known: Truth, chosen: np.ndarray) -> float | None:
    """Return by how much going there and back misses the start, px; None without the model."""
    record = run.results("train")
    path = Path(record.model)
    if not path.exists() or model_digest(path) != record.model_digest:
        return None
    pairs = _sample(known.present[chosen], _TURNED_PAIRS)
    ends = np.stack([run.read(name) for name in ("frame_from", "frame_to")], axis=1)[pairs]
    results = run.results("spectrum")
    how: dict[str, Any] = {
        "place": Place.of(Region(), run.sizes),
        "model": path,
        "scale": results.wave_scale,
        "binning": results.binning if "binning" in results else 1,
    }

    def moved(pair: np.ndarray) -> np.ndarray:  # one by one: they may lie far apart
        found = flow_block(run.array("wave"), pair[None], views=1, samples=0, **how)
        return found["flow"][0]

    errors = [forward_backward_error(moved(pair), moved(pair[::-1]), known.mask) for pair in ends]
    return float(np.nanmean(errors))


def _sample(present: np.ndarray, count: int) -> np.ndarray:
    pairs = np.flatnonzero(present)
    return pairs[np.unique(np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int))]


def _each(run: Run, name: str) -> Iterator[np.ndarray]:
    array = run.array(name)
    for index in range(len(array)):
        yield array[index]

"""The headline speed of simulated runs against exact truth, and runs with defects against clean.

    python benchmarks/headline.py [--size 160] [--frames 60] [--seeds 3] [--processes 2]
        [--scenarios plane,ring] [--defects aperture,bar] [--network-alone] [--views 4]
        [--binning 1]

Frames are simulated in memory and taken through the stages of `uemdask run` without a cluster, with
default settings and the base model as it is. The true speed is the mean
over the pairs that the headline covers, each counting alike, of the mean over the true mask. Of a
wave that slows down, that over all pairs in which the wave is present is told beside it.
Prints the tables of docs/accuracy.md.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import click
import numpy as np
from scipy.ndimage import distance_transform_edt

from uemdask.cube import Run, create_run
from uemdask.cube.layout import frame_slabs
from uemdask.execution.worker import limit_threads
from uemdask.network import BASE_MODEL
from uemdask.simulate import SCENARIOS, Acquisition, Defects, Truth, scenario, simulate
from uemdask.stages import STAGE_BY_NAME, StageParameters
from uemdask.stages.train import use_model

FIRST_SEED = 7001
LARGEST_ERROR, LARGEST_SIGMA = 1.5, 2.0  # %, standard errors
AWAY_PX = 8  # from a defect
DEFECTS = {
    "none": Defects(),
    "aperture": Defects(aperture=0.9, dark_level=0.7),
    "bar": Defects(bar=16, dark_level=2),
    "shadow": Defects(shadow=0.2, dark_level=5),
    "beam": Defects(beam_profile=0.03, beam_wander=3),
    "dead_columns": Defects(dead_columns=(0, 70, 71), dead_rows=(90,)),
    "x_rays": Defects(x_rays=0.01),
}


@dataclass(frozen=True)
class Found:
    """What one run gave, beside the truth; NaN where there is none."""

    speed: float  # nm/ps
    speed_sd: float
    first: float  # ps, of the delays that the speed covers
    last: float
    truth: float  # nm/ps, over the same pairs
    truth_over_all: float  # over all pairs in which the wave is present
    reason: str  # why there is no speed
    mode: str
    inside: np.ndarray  # (y, x): true mask away from defects where a wave travels, else everywhere
    valid: np.ndarray  # (y, x), share of the pairs in which the wave is present
    label_error: np.ndarray  # (y, x), mean over these pairs, relative to the mean displacement
    flow_error: np.ndarray  # (y, x), likewise
    valid_unlit: float  # share of all pairs and unlit pixels

    @property
    def error(self) -> float:
        """By which the speed is off, %."""
        return 100 * (self.speed / self.truth - 1)

    @property
    def sigmas(self) -> float:
        """By how many of its standard errors the speed is off."""
        return (self.speed - self.truth) / self.speed_sd


def stored(acquisition: Acquisition, path: Path) -> Run:
    """Store the frames of an acquisition as `ingest` does."""
    run = create_run(
        path,
        delays=acquisition.delays,
        shape=acquisition.shape,
        dtype=str(acquisition.frame(0).dtype),
        pixel_size=acquisition.pixel_size,
        source_file=[f"frame_{i}" for i in range(len(acquisition))],
    )
    for slab in frame_slabs(run.sizes):
        frames = [acquisition.frame(i) for i in range(*slab.span("time", 0))]
        run.write("intensity", np.stack(frames), slab)
    run.finish("ingest")
    return run


def do_stage(run: Run, name: str, settings: StageParameters) -> None:
    """Do a stage whole."""
    stage, parameters = STAGE_BY_NAME[name], getattr(settings, name)
    run.begin(name, digest="benchmark", parameters=parameters.model_dump(mode="json"))
    stage.create(run, parameters)
    for phase in stage.phases:
        receipts = {
            region.key: phase.work(run, region, parameters)
            for region in phase.regions(run, parameters) or []
        }
        run.note(name, results=phase.finish(run, parameters, receipts))
    if name == "train":
        run.note(name, results=use_model(BASE_MODEL))
    run.finish(name)


def processed(
    name: str, seed: int, size: int, frames: int, defects: Defects, settings: StageParameters
) -> Found:
    """Simulate a run, take it through the stages, and compare it with its truth."""
    limit_threads(1)
    count = min(frames, len(SCENARIOS[name].delays))
    acquisition = simulate(
        scenario(name, seed=seed, shape=(size, size), frames=count, defects=defects)
    )
    with tempfile.TemporaryDirectory() as folder:
        run = stored(acquisition, Path(folder) / "run.zarr")
        for stage in list(STAGE_BY_NAME)[1:]:
            do_stage(run, stage, settings)
        return compared(run, acquisition.truth())


def compared(run: Run, truth: Truth) -> Found:
    """Compare a run with its truth."""
    # The truth is that of successive frames; a frame may have been left out.
    single = run.read("frame_to") - run.read("frame_from") == 1
    pairs, travels = run.read("frame_from")[single], truth.mode == "travelling"
    flow, valid, label = truth.flow[pairs], run.read("valid")[single], run.read("label")[single]
    there = truth.present[pairs] if travels else np.ones(len(pairs), bool)
    length = np.hypot(flow[:, 0] * truth.pixel_nm[1], flow[:, 1] * truth.pixel_nm[0])
    speed = length[:, truth.mask].sum(axis=1) / max(truth.mask.sum(), 1)
    speed /= np.diff(truth.delays)[pairs]
    covered = np.isfinite(run.read("roi_pair_speed")[0])[single]
    size = np.linalg.norm(flow[there], axis=1).mean() if travels else 1.0
    label_error, flow_error = (
        np.linalg.norm(found - flow, axis=1)[there].mean(axis=0) / size
        for found in (label, run.read("flow")[single])
    )
    lit = truth.lit
    away = lit if lit.all() else distance_transform_edt(lit) > AWAY_PX
    return Found(
        speed=float(run.read("roi_speed")[0]),
        speed_sd=float(run.read("roi_speed_sd")[0]),
        first=float(run.read("roi_delay_first")[0]),
        last=float(run.read("roi_delay_last")[0]),
        truth=float(speed[covered].mean()) if travels and covered.any() else np.nan,
        truth_over_all=float(speed[there].mean()) if travels else np.nan,
        reason=str(run.read("roi_speed_missing")[0]),
        mode=str(run.read("mode")[0]),
        inside=truth.mask & away if travels else np.ones_like(lit),
        valid=valid[there].mean(axis=0),
        label_error=label_error,
        flow_error=flow_error,
        valid_unlit=0.0 if lit.all() else float(valid[:, ~lit].mean()),
    )


def print_speeds(runs: Mapping[tuple[str, int], Future[Found]]) -> None:
    """Print the headline of each run beside its truth, and how many are right."""
    head("scenario", "seed", "speed", "its error", "truth", "off by, %", "in its errors",
        "delays, ps", "truth over all", "label error",
        "flow error", "`valid`", "mode")  # fmt: skip
    right: list[tuple[bool, bool]] = []
    for (name, seed), job in runs.items():
        found = job.result()
        numbers = ["none", "-", "-", "-", "-", found.reason, f"{found.truth_over_all:.4f}"]
        if np.isfinite(found.speed):
            numbers = [
                f"{found.speed:.4f}", f"{found.speed_sd:.4f}", f"{found.truth:.4f}",
                f"{found.error:+.2f}", f"{found.sigmas:+.1f}", f"{found.first:g} to {found.last:g}",
                f"{found.truth_over_all:.4f}",
            ]  # fmt: skip
        if np.isfinite([found.speed, found.truth_over_all]).any():
            right.append((abs(found.error) <= LARGEST_ERROR, abs(found.sigmas) <= LARGEST_SIGMA))
        errors = (f"{e[found.inside].mean():.4f}" for e in (found.label_error, found.flow_error))
        row(name, seed, *numbers, *errors, f"{found.valid[found.inside].mean():.3f}", found.mode)
    near, within, both = (sum(map(of, right)) for of in (itemgetter(0), itemgetter(1), all))
    click.echo(
        f"\nOf {len(right)} waves that travel {near} have a headline within {LARGEST_ERROR} %, "
        f"{within} within {LARGEST_SIGMA:g} of its standard errors, {both} within both.\n"
    )


def print_defects(runs: Mapping[tuple[str, int], Future[Found]]) -> None:
    """Print what each defect does to a plane wave, beside the clean run on the same pixels."""
    head("defect", "seed", "label error", "clean", "ratio", "`valid`", "clean",
        "on unlit pixels", "mode", "speed off by, %", "in its errors")  # fmt: skip
    for (name, seed), job in runs.items():
        found, clean = job.result(), runs["none", seed].result()
        there = found.inside
        errors = [float(each.label_error[there].mean()) for each in (found, clean)]
        valid = [f"{each.valid[there].mean():.3f}" for each in (found, clean)]
        row(name, seed, *(f"{error:.4f}" for error in errors), f"{errors[0] / errors[1]:.2f}",
            *valid, f"{found.valid_unlit:.4f}", found.mode, f"{found.error:+.2f}",
            f"{found.sigmas:+.1f}")  # fmt: skip


def head(*names: str) -> None:
    row(*names)
    row(*["---"] * len(names))


def row(*cells: object) -> None:
    click.echo("| " + " | ".join(map(str, cells)) + " |")


@click.command()
@click.option("--size", default=160, help="Edge of the frames, px.")
@click.option("--frames", default=60, help="At most; the first ones of each scenario.")
@click.option("--seeds", default=3, help="Number of seeds.")
@click.option("--processes", default=2)
@click.option("--scenarios", default=",".join(SCENARIOS), help="Comma-separated.")
@click.option("--defects", default=",".join(DEFECTS), help="Comma-separated; on plane waves.")
@click.option("--fused/--network-alone", default=True, help="Whether labels have a say in flow.")
@click.option("--views", default=1, help="Of each pair, 1, 2 or 4.")
@click.option("--binning", default="auto", help="Of the natural grid; 1 for the pixels.")
def main(
    size: int, frames: int, seeds: int, processes: int, scenarios: str, defects: str,
    fused: bool, views: int, binning: str,
) -> None:  # fmt: skip
    """Compare headline speeds with the truth, and runs with defects with clean ones."""
    numbers = range(FIRST_SEED, FIRST_SEED + seeds)
    # Damage is told beside the clean run.
    chosen = ["none", *(name for name in defects.split(",") if name != "none")] if defects else []
    settings = StageParameters.model_validate(
        {
            "label": {"base": False},
            "spectrum": {"binning": binning if binning == "auto" else int(binning)},
            "flow": {"views": views, "fused": fused},
        }
    )
    waves = [(name, seed) for seed in numbers for name in scenarios.split(",") if name]
    spoilt = [(name, seed) for seed in numbers for name in chosen]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        of_waves = {
            (name, seed): pool.submit(processed, name, seed, size, frames, Defects(), settings)
            for name, seed in waves
        }
        of_defects = {
            (name, seed): pool.submit(
                processed, "plane", seed, size, frames, DEFECTS[name], settings
            )
            for name, seed in spoilt
        }
        print_speeds(of_waves)
        print_defects(of_defects)


if __name__ == "__main__":
    main()

"""How many runs and workers one driver serves: stages that sleep, everything else real.

    python benchmarks/scale.py [--runs 1000] [--busy 100] [--workers 64] [--seconds 1] [--tasks 4]

Each run is a small stack on disk and gets a real store and a real ledger; a task sleeps instead of
computing, so that two cores can play a cluster. `plan` and `preview` look at all runs, nothing of
them done; `work` takes some of them through all stages; `resume` finds all of them done, the rest
as copies; `status` tells so. Each step is a process of its own, and its line says how long it took,
CPU time and largest memory of the driver, and the load of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, LocalCluster

from uemdask import stages
from uemdask.cube import Run
from uemdask.cube.layout import Region
from uemdask.execution import Capacity, Cluster, Driver, Plan, preview, read_campaign
from uemdask.execution.ledger import ledger_path
from uemdask.monitor import campaign_state
from uemdask.network import BASE_MODEL, load_model

FRAMES, EDGE = 32, 32
STEPS = ("plan", "preview", "work", "resume", "preview done", "status")


def make_campaign(folder: Path, runs: int) -> Path:
    """Write small stacks and their campaign file."""
    frames = np.random.default_rng(0).poisson(100, (FRAMES, EDGE, EDGE)).astype(np.uint16)
    for number in range(runs):
        raw = folder / "raw" / f"run_{number:04d}"
        raw.mkdir(parents=True)
        np.save(raw / "frames.npy", frames)
    file = folder / "campaign.yaml"
    file.write_text(
        f"runs: [{{raw: raw/*}}]\nmodel: {BASE_MODEL}\n"
        f"defaults: {{pixel_size: 3nm, delays: '-40:{5 * FRAMES - 45}:5 ps'}}\n"
    )
    return file


def let_stages_sleep(seconds: float, tasks: int) -> None:
    """Replace what the stages compute by sleep, in this process."""
    # A module goes to workers by its name; the dict itself would go as a copy.

    def regions(run: Run, parameters: Any) -> list[Region]:
        return [Region((("time", i, i + 1),)) for i in range(tasks)]

    def sleep(run: Run, region: Region, parameters: Any) -> dict[str, Any]:
        time.sleep(seconds)
        return {}

    def all_frames_count(run: Run, parameters: Any, receipts: Mapping[str, Any]) -> dict[str, Any]:
        run.write("frame_ok", np.ones(FRAMES, bool))
        return {}

    for name, stage in list(stages.STAGE_BY_NAME.items()):
        if name in ("pairs", "train"):
            continue
        phase = stages.Phase("sleep", regions, sleep)
        if name == "ingest":
            phase = replace(phase, finish=all_frames_count)
        nothing = lambda run, parameters: None  # noqa: E731
        stages.STAGE_BY_NAME[name] = replace(stage, phases=(phase,), check=nothing)


def work(plan: Plan, workers: int, options: argparse.Namespace) -> dict[str, float]:
    """Take all runs through all stages, and return how busy the workers were."""
    let_stages_sleep(options.seconds, options.tasks)
    processes = 4 if workers % 4 == 0 else 1
    with (
        LocalCluster(
            n_workers=processes,
            threads_per_worker=workers // processes,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(processes)
        client.run(let_stages_sleep, options.seconds, options.tasks)
        up = Cluster(client, client.dashboard_link, Capacity(slots=workers))
        load_model(BASE_MODEL)  # once for a campaign, and slow the first time
        begun, stamp = time.perf_counter(), datetime.now(UTC).isoformat()
        cpu = time.process_time()
        outcome = Driver(plan, up).run()
        wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    if outcome.failed:
        raise SystemExit(f"failed: {dict(list(outcome.failed.items())[:3])}")
    lines = [
        line
        for run in plan.runs
        for line in map(json.loads, ledger_path(run.store).read_text().splitlines())
        if line.get("seconds") is not None and line["at"] > stamp
    ]
    done = sum(line["seconds"] for line in lines)
    return {
        "tasks": len(lines),
        "driver s": wall,
        "driver cpu s": cpu,
        "busy share": done / (workers * wall),
    }


def copy_the_first(plan: Plan) -> None:
    """Give every run that is not done the store of the first: their raw data are the same."""
    first = plan.runs[0].store
    for run in plan.runs:
        if not run.store.exists():
            shutil.copytree(first, run.store)
            shutil.copy(ledger_path(first), ledger_path(run.store))


def step(name: str, file: Path, options: argparse.Namespace) -> None:
    """Do one step in this process and print its numbers as JSON."""
    if name == "resume":
        copy_the_first(read_campaign(file))
    begun = time.perf_counter()
    plan = read_campaign(file)
    found: dict[str, float] = {"runs": len(plan.runs)}
    if name.startswith("preview"):
        seen = preview(plan)
        found |= {"at fault": len(seen.broken), "tasks": seen.tasks}
    elif name == "status":
        cpu = time.process_time()
        done = sum(run.done for run in campaign_state(plan).runs)
        found |= {"done": done, "status cpu s": time.process_time() - cpu}
    elif name == "work":
        some = plan.model_copy(update={"runs": plan.runs[: options.busy]})
        found |= {"runs": len(some.runs)} | work(some, options.workers, options)
    elif name == "resume":
        found |= work(plan, options.workers, options)
    found["s"] = time.perf_counter() - begun
    found["cpu s"] = time.process_time()
    found["driver MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found["load"] = os.getloadavg()[0]
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--busy", type=int, default=100, help="runs that are worked on")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0, help="that a task sleeps")
    parser.add_argument("--tasks", type=int, default=4, help="of each stage of a run")
    parser.add_argument("--json", action="store_true", help="print a list of step and numbers")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--campaign", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options.step, options.campaign, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = make_campaign(Path(folder) / "campaign", options.runs)
        for name in STEPS:
            command = [sys.executable, __file__, *sys.argv[1:], "--step", name]
            done = subprocess.run(  # noqa: S603 - our own file
                [*command, "--campaign", str(file)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                env=os.environ,
            )
            numbers = json.loads(done.stdout.splitlines()[-1])
            if options.json:
                print(json.dumps([name, numbers]), flush=True)
                continue
            print(
                f"{name:12s}",
                *(f"{key} {value:.4g}" for key, value in numbers.items()),
                sep="  ",
                flush=True,
            )


if __name__ == "__main__":
    main()

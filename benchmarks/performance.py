"""How fast everything is, each part beside its limit: writes docs/performance.md.

    python benchmarks/performance.py [--minutes 15] [--accept] [--short]

Times are CPU times, and what counts are ratios measured in one run: other work on the machine
changes both sides. Where a ratio is a fifth worse than on the page, as it was committed, or was not
measured for want of time, these are told, the page stays, and the exit code is 1; `--accept` writes
it all the same.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from stages import Case, Costs, measure
from whole_run import Phase, label_ratio, whole_run, write_raw

from uemdask.version import __version__

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
_PAGE = _ROOT / "docs" / "performance.md"
_SMALL, _LARGE = Case(512, 120, 50.0), Case(2048, 60, 175.0)
_WHOLE = Case(512, 48, 50.0)
#: Where nobody waits: to see that all of it works.
_SHORT = Case(96, 40, 24.0)
#: A ratio may be so much higher than on the page.
_WORSE = 1.2
#: What takes less than this share of reading is noise.
_LEAST = 1.0
_WORKERS = 2
_LIBRARIES = ("numpy", "scipy", "zarr", "dask", "opencv-python-headless", "torch")
#: Width of the longest bar of the waterfall, characters.
_BAR = 40


# ---- measuring


def scale(*options: str) -> dict[str, dict[str, float]]:
    """Return the numbers of each step of ``benchmarks/scale.py``."""
    done = subprocess.run(  # noqa: S603 - our own file
        [sys.executable, str(_HERE / "scale.py"), "--json", *options],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {
        step: numbers for line in done.stdout.splitlines() for step, numbers in [json.loads(line)]
    }


def driver_costs(*, short: bool) -> dict[str, float]:
    """Return what the driver costs."""
    runs, busy = (4, "8") if short else (60, "64")
    tasks = ["--runs", str(runs), "--busy", str(runs), "--tasks", "4"]
    idle = scale(*tasks, "--workers", "2", "--seconds", "0")
    full = scale(*tasks, "--workers", busy, "--seconds", "0.1" if short else "1")
    return {
        "driver, ms a run": 1000 * idle["work"]["driver cpu s"] / runs,
        "driver of finished runs, ms a run": 1000 * idle["resume"]["driver cpu s"] / runs,
        "status, ms a run": 1000 * idle["status"]["status cpu s"] / runs,
        f"{busy} workers busy, %": 100 * full["work"]["busy share"],
    }


# ---- the page


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lay out a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def ratios_of(case: Case, costs: Costs) -> dict[str, float]:
    """Return each phase and stage over bare reading, by the words that the page has for it."""
    found: dict[str, float] = {}
    for stage, all_of_it in costs.stages.items():
        found |= {name: each for name, each in costs.phases.items() if name.split()[0] == stage}
        found[f"{stage}, all"] = all_of_it
    if not costs.left_out:
        found["all stages"] = sum(costs.phases.values())
    return {f"{case.size} px: {name}": seconds / costs.reading for name, seconds in found.items()}


def phase_lines(case: Case, costs: Costs) -> list[str]:
    """Describe what the phases of a case cost."""
    ratios = ratios_of(case, costs)
    rate = case.raw_bytes / 1e9 / costs.reading
    lines = [
        f"## {case}",
        "",
        f"Bare limit: the {case.raw_bytes / 2**20:.0f} MiB of counts read and decoded once, "
        f"{costs.reading:.2f} s ({rate:.2f} GB/s).",
        "",
        *table(
            ["work", "CPU, s", "over reading"],
            [
                [name.partition(": ")[2], f"{ratio * costs.reading:.2f}", f"{ratio:.1f}"]
                for name, ratio in ratios.items()
            ],
        ),
    ]
    if costs.left_out:
        lines += [f"Not measured, for want of time: {', '.join(costs.left_out)}.", ""]
    return lines


def waterfall_lines(case: Case, phases: list[Phase]) -> list[str]:
    """Draw when each phase of a whole run was at work."""
    end = max(phase.ended for phase in phases)
    rows = []
    for phase in phases:
        wall = phase.ended - phase.begun
        before = round(_BAR * phase.begun / end)
        bar = "·" * before + "█" * max(1, round(_BAR * wall / end)) if phase.tasks else ""
        busy = f"{100 * phase.worked / (_WORKERS * wall):.0f}" if wall else "-"
        rows.append(
            [phase.name, str(phase.tasks), f"{phase.begun:.1f}", f"{wall:.1f}", busy, f"`{bar}`"]
        )
    worked = sum(phase.worked for phase in phases)
    return [
        "## A whole run",
        "",
        f"{case}, from TIFF files through every stage but the training, wall time, {_WORKERS} "
        f"workers of one thread: {end:.0f} s, of which they were at work "
        f"{100 * worked / (_WORKERS * end):.0f} %.",
        "",
        *table(["phase", "tasks", "begins, s", "takes, s", "workers busy, %", ""], rows),
    ]


def machine() -> str:
    """Say what this was measured on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    return (
        f"{model[1] if model else platform.processor()}, {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}, {libraries}"
    )


def page(lines: list[str]) -> str:
    """Return docs/performance.md."""
    head = [
        "# Performance",
        "",
        f"Made by `make bench` with uemdask {__version__} on {datetime.now(UTC):%Y-%m-%d}: "
        f"{machine()}. The machine is shared, so trust ratios, not seconds. CPU time of one "
        "thread, where nothing else is said.",
        "",
        "A ratio that is a fifth worse than here makes `make bench` fail.",
        "",
    ]
    return "\n".join([*head, *lines]).rstrip() + "\n"


# ---- comparing


def read_ratios(text: str) -> dict[str, float]:
    """Return the ratios on a page, by their words."""
    found, case = {}, ""
    for line in text.splitlines():
        if heading := re.match(r"## \d+ frames of (\d+) x", line):
            case = f"{heading[1]} px: "
        elif line.startswith("## "):
            case = ""
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        try:
            found[case + cells[0]] = float(cells[-1])
        except ValueError:
            continue
    return found


def worse(before: dict[str, float], now: dict[str, float]) -> list[str]:
    """Return what is a fifth worse than before, or was measured only then, in words."""
    slower = {
        name: f"{value:.3g}"
        for name, value in now.items()
        if name in before and value > max(_LEAST, _WORSE * before[name])
    }
    found = slower | {name: "not measured" for name in before if name not in now}
    return [f"{name}: {value}, on the page {before[name]:.3g}" for name, value in found.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0, help="that it may take")
    parser.add_argument("--accept", action="store_true", help="write the page whatever it says")
    parser.add_argument("--short", action="store_true", help="tiny cases, printed and not kept")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    small, whole = (_SHORT, _SHORT) if options.short else (_SMALL, _WHOLE)
    lines, ratios = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        costs = measure(small, folder)
        lines += phase_lines(small, costs)
        ratios |= ratios_of(small, costs)
        campaign = write_raw(folder / "whole", whole)
        waterfall = waterfall_lines(whole, whole_run(campaign, _WORKERS))
        through, bare = label_ratio(campaign)
        driver = driver_costs(short=options.short)
        if not options.short:
            times = _LARGE.raw_bytes / small.raw_bytes
            expected = {stage: times * seconds for stage, seconds in costs.stages.items()}
            large = measure(_LARGE, folder, expected=expected, until=until)
            lines += phase_lines(_LARGE, large)
            ratios |= ratios_of(_LARGE, large)
    machinery = {"labels through driver and Dask over a bare loop": through / bare}
    rows = [[name, f"{value:.3g}"] for name, value in (machinery | driver).items()]
    lines += [
        *waterfall,
        "## What the machinery takes",
        "",
        "The labels of that run, CPU time of all processes, through driver, Dask, ledger and "
        "`fsync`, over a loop that makes the same regions in one process. Then the driver, its "
        "scheduler included, for runs of which each stage has four tasks that do "
        "nothing; and how busy workers are with tasks of a second.",
        "",
        *table(["", "value"], rows),
    ]
    text = page(lines)
    if options.short:
        print(text)
        return
    ratios |= machinery
    before = read_ratios(_PAGE.read_text()) if _PAGE.exists() else {}
    # What the driver takes are times, which other machines take otherwise.
    losses = worse({name: each for name, each in before.items() if name not in driver}, ratios)
    for loss in losses:
        print(f"worse: {loss}")
    if losses and not options.accept:
        raise SystemExit("docs/performance.md stays as it was; --accept writes it")
    _PAGE.write_text(text)


if __name__ == "__main__":
    main()

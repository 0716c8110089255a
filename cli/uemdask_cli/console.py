"""Progress on the console: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from uemdask.execution.listeners import NullListener
from uemdask.printable import printable
from uemdask_cli.flags import with_flags

#: Where there is no terminal, a stage at work is reported this often, in s.
_EVERY = 10.0
#: Width where there is no terminal, characters.
_WIDEST = 10_000


class PlainLines(NullListener):
    """Plain lines: one when a stage begins and ends, and now and then between."""

    def __init__(self) -> None:
        self._totals: dict[str, list[int]] = {}
        self._said = self._begun = time.monotonic()
        self._step = 0
        self._trained: set[str] = set()

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        click.echo(f"[{self._said - self._begun:6.1f} s] {text}")

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Say where the dashboard is."""
        self._say(f"room for {_tasks(slots)} at a time; dashboard: {dashboard}")

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Announce a phase of a run."""
        if not total:
            return
        counts = self._totals.setdefault(f"{stage} {phase}", [0, 0])
        counts[0] += done
        counts[1] += total
        earlier = f", {done} of them done before" if done else ""
        self._say(f"{run}: {stage} {phase}, {_tasks(total)}{earlier}")

    def task_done(self, run: str, stage: str, phase: str, result: Mapping[str, Any]) -> None:
        """Report a stage now and then."""
        counts = self._totals[f"{stage} {phase}"]
        counts[0] += 1
        if time.monotonic() - self._said > _EVERY:
            self._say(f"{stage} {phase}: {counts[0]} of {counts[1]} tasks")

    def training(self, model: str, history: dict[str, Any]) -> None:
        """Report where a training runs, and now and then how far it is."""
        if "device" in history and model not in self._trained:
            self._trained.add(model)
            self._say(_where(model, history))
        step = history.get("step", self._step)
        if step != self._step and time.monotonic() - self._said > _EVERY:
            self._step = step
            self._say(
                f"{model}: training step {step} ({history['phase']}), "
                f"loss {history.get('loss', float('nan')):.3g}"
            )

    def run_failed(self, run: str, stage: str, message: str) -> None:
        """Say why a run failed."""
        self._say(f"{run}: failed in {stage}: {message}")

    def run_done(self, run: str) -> None:
        """Say that a run is done."""
        self._say(f"{run}: done")

    def notice(self, text: str) -> None:
        """Say it."""
        self._say(text)


class Bars(NullListener):
    """A bar for each stage, over all runs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._totals: dict[str, int] = {}
        self._trained: set[str] = set()

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Say where the dashboard is."""
        self.notice(f"room for {_tasks(slots)} at a time; dashboard: {dashboard}")

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Lengthen the stage's bar."""
        if not total:
            return
        name = f"{stage} {phase}"
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=0)
            self._totals[name] = 0
        self._totals[name] += total
        self._progress.update(self._bars[name], total=self._totals[name], advance=done)

    def task_done(self, run: str, stage: str, phase: str, result: Mapping[str, Any]) -> None:
        """Move the stage's bar."""
        self._progress.advance(self._bars[f"{stage} {phase}"])

    def training(self, model: str, history: dict[str, Any]) -> None:
        """Show the step beside the bar of the training, and say where it runs."""
        if "device" in history and model not in self._trained:
            self._trained.add(model)
            self.notice(_where(model, history))
        if "train model" in self._bars and "step" in history:
            text = f"train {history['phase']} step {history['step']} loss {history['loss']:.3g}"
            self._progress.update(self._bars["train model"], description=text)

    def run_failed(self, run: str, stage: str, message: str) -> None:
        """Say why a run failed."""
        self.notice(f"{run}: failed in {stage}: {message}")

    def notice(self, text: str) -> None:
        """Say it."""
        self._progress.console.print(with_flags(printable(text)), markup=False, highlight=False)


def _tasks(number: int) -> str:
    return f"{number} task" + ("" if number == 1 else "s")


def _where(model: str, history: dict[str, Any]) -> str:
    """Say where a training runs, and what became of an earlier one."""
    return f"{model}: {history['device']} {history.get('notice', '')}".strip()


def rich_console() -> Console:
    """Return what draws tables and bars; texts that come from elsewhere are to be `printable`.

    Where nobody looks, a line may be as long as it is: names must not be cut.
    """
    looks = sys.stdout.isatty()
    # Rich speaks to a terminal in control characters itself.
    return Console(file=getattr(sys.stdout, "stream", sys.stdout), width=None if looks else _WIDEST)


@contextmanager
def listener(*, quiet: bool = False) -> Iterator[NullListener]:
    """Give bars on a terminal, plain lines elsewhere; nothing where it is to be quiet."""
    if quiet:
        yield NullListener()
        return
    if not sys.stdout.isatty():
        yield PlainLines()
        return
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=rich_console()) as progress:
        yield Bars(progress)

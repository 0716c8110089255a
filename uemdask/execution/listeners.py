"""What a driver tells of its work, to whoever listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Listener(Protocol):
    """Hears what happens in a campaign. All calls come from the driver's thread."""

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Say that workers are there; `slots` tasks run at a time."""

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Say that a phase of `total` tasks begins, `done` of them done in an earlier session."""

    def task_done(self, run: str, stage: str, phase: str, result: Mapping[str, Any]) -> None:
        """Say that one more task is done, and pass on what it returned: seconds, bytes moved."""

    def training(self, model: str, history: dict[str, Any]) -> None:
        """Pass on the newest line of a training history."""

    def run_failed(self, run: str, stage: str, message: str) -> None:
        """Say that a run failed in a stage; the others go on."""

    def run_done(self, run: str) -> None:
        """Say that all stages of a run are done."""

    def notice(self, text: str) -> None:
        """Pass on a sentence for the user."""


class NullListener:
    """A listener that does nothing."""

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Do nothing."""

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Do nothing."""

    def task_done(self, run: str, stage: str, phase: str, result: Mapping[str, Any]) -> None:
        """Do nothing."""

    def training(self, model: str, history: dict[str, Any]) -> None:
        """Do nothing."""

    def run_failed(self, run: str, stage: str, message: str) -> None:
        """Do nothing."""

    def run_done(self, run: str) -> None:
        """Do nothing."""

    def notice(self, text: str) -> None:
        """Do nothing."""


class ListenerPair:
    """Two listeners that hear the same."""

    def __init__(self, first: Listener, second: Listener) -> None:
        self._ears = (first, second)

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Tell both."""
        for ear in self._ears:
            ear.cluster_is_up(dashboard, slots)

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Tell both."""
        for ear in self._ears:
            ear.phase_begins(run, stage, phase, total, done)

    def task_done(self, run: str, stage: str, phase: str, result: Mapping[str, Any]) -> None:
        """Tell both."""
        for ear in self._ears:
            ear.task_done(run, stage, phase, result)

    def training(self, model: str, history: dict[str, Any]) -> None:
        """Tell both."""
        for ear in self._ears:
            ear.training(model, history)

    def run_failed(self, run: str, stage: str, message: str) -> None:
        """Tell both."""
        for ear in self._ears:
            ear.run_failed(run, stage, message)

    def run_done(self, run: str) -> None:
        """Tell both."""
        for ear in self._ears:
            ear.run_done(run)

    def notice(self, text: str) -> None:
        """Tell both."""
        for ear in self._ears:
            ear.notice(text)

"""What a driver tells of its work, to whoever listens."""

from __future__ import annotations

from typing import Any, Protocol


class Listener(Protocol):
    """Hears what happens in a campaign. All calls come from the driver's thread."""

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Say that workers are there; `slots` tasks run at a time."""

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Say that a phase of `total` tasks begins, `done` of them done in an earlier session."""

    def task_done(self, run: str, stage: str, phase: str) -> None:
        """Say that one more task is done."""

    def training(self, model: str, history: dict[str, Any]) -> None:
        """Pass on the newest line of a training history."""

    def run_failed(self, run: str, message: str) -> None:
        """Say that a run failed; the others go on."""

    def run_done(self, run: str) -> None:
        """Say that all stages of a run are done."""

    def notice(self, text: str) -> None:
        """Pass on a sentence for the user."""


class Silence:
    """A listener that does nothing."""

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Do nothing."""

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Do nothing."""

    def task_done(self, run: str, stage: str, phase: str) -> None:
        """Do nothing."""

    def training(self, model: str, history: dict[str, Any]) -> None:
        """Do nothing."""

    def run_failed(self, run: str, message: str) -> None:
        """Do nothing."""

    def run_done(self, run: str) -> None:
        """Do nothing."""

    def notice(self, text: str) -> None:
        """Do nothing."""

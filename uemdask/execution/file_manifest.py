"""The manifest of a stage: what its ledger says of its files, against what is on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from uemdask.cube import Run
from uemdask.cube.contract import variables_of
from uemdask.cube.file_store import Files, checksum_of, checksums_of, renewed
from uemdask.execution.ledger import Ledger, Tasks
from uemdask.execution.ledger_entries import TaskDone

#: What is wrong with a file.
Wrong = Literal["missing", "short", "too long", "changed", "not expected", "cannot be read"]
#: Variables that may be removed on purpose: `wave` to save space, the others by an export.
MAY_LACK = ("intensity", "dark", "wave")


@dataclass(frozen=True)
class Broken:
    """A file that is not as it was written: its key in the store, and what is wrong with it."""

    key: str
    wrong: Wrong


@dataclass
class FileManifest:
    """All that is known of the files of a stage.

    Attributes
    ----------
    store : Path
        The store.
    stage : str
        The stage.
    tasks, void : dict of (phase, region) to TaskDone
        Finished tasks, in the order of their end, and those that were to be done again since the
        stage was last finished, as they were then.
    own : dict
        Files that the driver wrote.
    """

    store: Path
    stage: str
    tasks: Tasks = field(default_factory=dict)
    void: Tasks = field(default_factory=dict)
    own: Files = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, stage: str, ledger: Path) -> FileManifest:
        """Read the manifest of a stage of a run; `ledger` is the store whose ledger it is."""
        record = run.stage(stage)
        if not record:
            return cls(run.path, stage)
        book, digest = Ledger(ledger, run.identity(stage)), record["digest"]
        return cls(run.path, stage, *book.history(stage, digest), book.written(stage, digest))

    def add(self, task: TaskDone) -> None:
        """Take in a task that has ended."""
        name = task.phase, task.region
        self.tasks.pop(name, None)  # done again, it is the last one to have written its files
        self.tasks[name] = task

    @property
    def files(self) -> Files:
        """Size and sum of each file; where several tasks wrote it, those of the last."""
        return self.own | _files_of(self.tasks)

    @property
    def is_another(self) -> bool:
        """Whether what was done again has other files than before."""
        files = self.files
        return any(files.get(key) != file for key, file in _files_of(self.void).items())

    def broken(self, *, deep: bool = False) -> list[Broken]:
        """Return the files that are not as they were written.

        Parameters
        ----------
        deep : bool
            Read them and compare their sums; otherwise names and sizes only.
        """
        lacking = {name for name in MAY_LACK if not (self.store / name).exists()}
        return [
            Broken(key, wrong)
            # What a task that is to be done again has written may be gone.
            for key, wanted in (_files_of(self.void) | self.files).items()
            if key.partition("/")[0] not in lacking
            and (wrong := _wrong(self.store / key, wanted, deep=deep))
        ]

    def spoilt(self, keys: set[str]) -> Tasks:
        """Return the tasks to be done again where some files are broken.

        Those that wrote them, and later ones that wrote to the same files as these.
        """
        found: Tasks = {}
        keys = set(keys)
        for name, task in self.tasks.items():
            if keys & task.files.keys():
                found[name] = task
                keys |= task.files.keys()
        return found

    def made_since(self, time: float) -> Iterator[tuple[str, str]]:
        """Yield the tasks that ended after a time, s since 1970."""
        for name, task in self.tasks.items():
            if datetime.fromisoformat(task.at).timestamp() > time:
                yield name

    def others(self, fresh: Files) -> Files:
        """Return size and sum of the stage's files that no task wrote.

        Those that the driver wrote just now are in `fresh`. Others are as they were told before,
        and as they are now where nothing was told of them yet.
        """
        own, by_tasks = renewed(self.own, fresh), _files_of(self.tasks)
        found = checksums_of(self.store, variables_of(self.stage), own | by_tasks)
        return found | {key: file for key, file in own.items() if key not in by_tasks}


def _files_of(tasks: Tasks) -> Files:
    found: Files = {}
    for task in tasks.values():
        found |= task.files
    return found


def _wrong(file: Path, wanted: tuple[int, str] | None, *, deep: bool) -> Wrong | None:
    try:
        size = file.stat().st_size
        if wanted is None:
            return "not expected"
        if size != wanted[0]:
            return "short" if size < wanted[0] else "too long"
        return "changed" if deep and checksum_of(file) != wanted else None
    except FileNotFoundError:
        return None if wanted is None else "missing"
    except OSError:
        return "cannot be read"

"""Kill the driver with -9 wherever it changes the disk, look at what is left, and go on.

``python kill_sweep.py FOLDER [--every]`` prints where it killed, as JSON. FOLDER holds
``campaign.yaml``. A process that has done nothing yet is forked for each life of the driver, so
that a kill costs little. Without ``--every`` it kills once in each phase at each kind of change;
with it at each change there is.
"""

import contextlib
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

from uemdask.execution import Capacity, Cluster, Driver, read_campaign
from uemdask_cli import main

_CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}
#: Of each kind of file, the change at which something is won or lost.
_DECISIVE = {"ledger": "open", "chunk": "os.rename", "record": "os.rename"}
_DECISIVE |= {"model": "os.rename", "store": "os.rename"}
_WRITES = os.O_WRONLY | os.O_RDWR
#: A sentence for people has none of these.
_WORDS_OF_FAULTS = ("Traceback", "fault of uemdask itself", "KeyError", "TypeError")


def _in_process():
    path = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.InProcess()


def _kind(path: Path, store: Path) -> str:
    """Return what kind of file changes."""
    if "ledger" in path.name:
        return "ledger"
    if "models" in path.parts:
        return "model"
    if store not in path.parents:
        return "store" if path == store else "beside"
    _, *inner = path.relative_to(store).parts
    return ("chunk" if inner[:1] == ["c"] else "metadata") if inner else "record"


def _drive(folder: Path, seen: list, *, every: bool) -> None:
    """Go on with the campaign; die at the first change that is of a new kind."""
    plan = read_campaign(folder / "campaign.yaml")
    store = plan.runs[0].store
    cluster = Cluster(client=_in_process(), dashboard="", cpu=Capacity(slots=0.5))
    driver = Driver(plan, cluster, back_off=0.0)
    pipeline = driver._runs[0].pipeline
    known = {tuple(place) for place in seen}

    def hook(event: str, arguments: tuple) -> None:
        if event not in _CHANGES or not isinstance(arguments[0], str | os.PathLike):
            return
        if event == "open" and not arguments[2] & _WRITES:
            return
        path = Path(arguments[1 if event == "os.rename" else 0])
        if folder not in path.parents or path.name.startswith("."):
            return
        kind = str(path.relative_to(folder)) if every else _kind(path, store)
        if not every and _DECISIVE.get(kind) != event:
            return
        place = (pipeline.stage, pipeline.phase, event, kind)
        if place not in known:
            with (folder.parent / "seen.jsonl").open("a") as file:
                file.write(json.dumps(place) + "\n")
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    outcome = driver.run()
    assert not outcome.failed, outcome.failed


def _forked(log: Path, action) -> int:
    """Do something in a process of its own, and return its exit code; negative where killed."""
    child = os.fork()
    if not child:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            code = 99
            with contextlib.suppress(BaseException):
                code = action()
                sys.stdout.flush()
            os._exit(code or 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _told(call) -> int:
    """Return the exit code of a call; an error is printed."""
    import traceback

    try:
        return call() or 0
    except BaseException:
        traceback.print_exc()
        return 99


def _look(folder: Path, place: list, *, report: bool) -> None:
    """Look at what is left as a user does; what cannot be known yet is no fault."""
    campaign = str(folder / "campaign.yaml")
    store = folder / "results" / "raw.zarr"
    looks = [["status", campaign], ["run", campaign, "--dry-run"]]
    if (store / "zarr.json").exists():  # else there is no run to look at yet
        looks.append(["info", str(store)])
    if report:  # with the page of each run
        looks.append(["report", campaign])
    for arguments in looks:
        log = folder.parent / "look.txt"
        code = _forked(log, lambda arguments=arguments: _told(lambda: main._run(arguments)))
        text = log.read_text()
        assert code == 0, f"killed at {place}: {arguments} gave {code}\n{text}"
        assert not any(word in text for word in _WORDS_OF_FAULTS), f"{place}: {arguments}\n{text}"


def sweep(folder: Path, *, every: bool) -> list:
    """Kill and go on until the campaign is done; return where it was killed."""
    log, journal = folder.parent / "drive.txt", folder.parent / "seen.jsonl"
    journal.touch()
    seen: list = []
    while True:
        code = _forked(log, lambda seen=seen: _told(lambda: _drive(folder, seen, every=every)))
        if code == 0:
            return seen
        assert code == -signal.SIGKILL, log.read_text()
        before, seen = seen, [json.loads(line) for line in journal.read_text().splitlines()]
        assert len(seen) > len(before), "killed again where it was killed before"
        stage, phase, _, kind = seen[-1]
        # Once in each phase and between any two; the pages, of two seconds each, once a stage.
        new = [stage, phase] not in [place[:2] for place in before]
        if every or new or kind == "record":
            first = bool(phase) and stage not in [place[0] for place in before if place[1]]
            _look(folder, seen[-1], report=every or first)


if __name__ == "__main__":
    for verb in ("info", "report", "run", "status", "plan_table"):
        importlib.import_module(f"uemdask_cli.{verb}")  # once, before the forks
    print(json.dumps(sweep(Path(sys.argv[1]).absolute(), every="--every" in sys.argv)))

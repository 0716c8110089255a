"""What ``uemdask run`` says at its end and of networks in its plan."""

import shlex
from pathlib import Path

import pytest

from uemdask.execution import Outcome, Preview
from uemdask.execution.preview import RunPreview
from uemdask_cli.plan_table import print_plan
from uemdask_cli.run import _command, _next


@pytest.fixture(name="twice")
def _twice(finished, plan):
    """Return the plan of a campaign of two runs, of which one store is there."""
    (finished / "other").mkdir()
    ready = plan(finished, runs=[{"raw": "raw"}, {"raw": "other"}])
    return ready.model_copy(update={"command": ("run", "/my data/ge.yaml")})


def test_the_command_holds_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = _command(
        (Path("my ge.yaml"),),
        output=Path("out"),
        cluster=None,
        model="base",
        settings=("spectrum.band=[30, 40]",),
    )
    assert words == (
        *("run", str(tmp_path / "my ge.yaml"), "--output", str(tmp_path / "out")),
        *("--model", "base", "--set", "spectrum.band=[30, 40]"),
    )


def test_the_next_command_is_the_report_or_the_same_again(twice, tmp_path):
    file = Path("/my data/ge.yaml")
    failed = Outcome(done=["raw"], failed={"other": "no images"}, stages={"other": "ingest"})
    assert _next(twice, failed, (file,), None).endswith("then uemdask run '/my data/ge.yaml'")
    done = Outcome(done=["raw", "other"])
    assert _next(twice, done, (file,), None) == "uemdask report '/my data/ge.yaml'"
    # The report of a campaign knows no other output; that of a run does.
    (store, _) = (run.store for run in twice.runs)
    moved = _next(twice, done, (file,), tmp_path)
    assert moved == shlex.join(["uemdask", "report", str(store)])


def test_the_plan_says_who_keeps_takes_and_trains_a_network(capsys):
    sources = {"a": "kept", "b": "kept", "c": "existing", "d": "trained"}
    runs = [
        RunPreview(run=name, store=name, done=[], to_do={}, network=source)
        for name, source in sources.items()
    ]
    print_plan(
        Preview(
            campaign="ge", output="o", model="base", one_model="all", cluster="local", runs=runs
        )
    )
    said = capsys.readouterr().out
    assert "kept, with their numbers, unless --retrain is given: the networks of a, b\n" in said
    assert "taken as it is, from the finished runs: the network of c\n" in said
    assert "trained: the network of d\n" in said

"""Sessions on a batch system: who was killed is found by who comes next, who lives is not."""

import asyncio
import fcntl
import json
import os
import socket
import time

import pytest

from uemdask.execution.cluster import session as module
from uemdask.execution.cluster.session import end_abandoned, session

HOME = "Slurm frontier"


@pytest.fixture
def killed(tmp_path):
    """Return the record of a driver of this host that was killed and had jobs 17 and 18."""
    if not (child := os.fork()):
        with session(tmp_path, HOME) as own:
            own.note("17")
            own.note("18")
            os._exit(9)
    os.waitpid(child, 0)
    return next(tmp_path.glob("session-*/jobs"))


@pytest.fixture
def no_locks_elsewhere(monkeypatch):
    """Let everybody have every lock, as on a file system whose locks hold on one host only."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)


def end(folder, home=HOME, answer=True):
    """Return the jobs that the next driver cancels; all live still."""

    async def cancel(jobs):
        return list(jobs) if answer else None

    return asyncio.run(end_abandoned(folder, home, cancel))


def change(record, **values):
    first, *jobs = record.read_text().splitlines()
    record.write_text("\n".join([json.dumps(json.loads(first) | values), *jobs, ""]))


def silent_for(record, seconds):
    os.utime(record, times=(time.time() - seconds,) * 2)


def test_nothing_is_left_of_a_session_that_ended(tmp_path):
    with session(tmp_path, HOME) as own:
        own.note("17")
        assert (own.place / "jobs").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_driver_that_lives_keeps_its_jobs(tmp_path):
    with session(tmp_path, HOME) as own:
        own.note("17")
        assert end(tmp_path) == []
        assert (own.place / "jobs").read_text().endswith("\n17\n")


def test_jobs_of_a_driver_that_was_killed_are_found_once(tmp_path, killed):
    assert killed.exists()
    assert end(tmp_path) == ["17", "18"]
    assert end(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_locks_elsewhere")
def test_a_process_that_lives_was_not_killed_whoever_has_its_lock(tmp_path):
    with session(tmp_path, HOME) as own:
        own.note("17")
        silent_for(own.place / "jobs", 3600)
        assert end(tmp_path) == []
        assert own.place.exists()


@pytest.mark.usefixtures("no_locks_elsewhere")
@pytest.mark.parametrize("other", [{"boot": "another"}, {"start": "1"}])
def test_a_pid_that_was_given_again_is_another_process(tmp_path, other):
    with session(tmp_path, HOME) as own:
        own.note("17")
        change(own.place / "jobs", **other)
        assert end(tmp_path) == ["17"]


def test_a_driver_on_another_host_is_left_alone_until_it_is_silent(tmp_path, killed, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "login2")
    silent_for(killed, 300)
    assert end(tmp_path) == []
    silent_for(killed, 3600)
    assert end(tmp_path) == ["17", "18"]


def test_a_living_driver_touches_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_HEARTBEAT", 0.01)
    with session(tmp_path, HOME) as own:
        silent_for(own.place / "jobs", 3600)
        deadline = time.monotonic() + 30
        while time.time() - (own.place / "jobs").stat().st_mtime > 1800:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_jobs_of_another_batch_system_are_left_to_its_next_driver(tmp_path, killed):
    assert end(tmp_path, home="Slurm summit") == []
    assert killed.exists()
    assert end(tmp_path) == ["17", "18"]


def test_a_record_stays_until_the_batch_system_answers(tmp_path, killed):
    assert end(tmp_path, answer=False) == []
    assert killed.exists()
    assert end(tmp_path) == ["17", "18"]
    assert not killed.exists()


@pytest.mark.parametrize("text", ["", "17\n18\n", '{"host": "login1"}\n17\n'])
def test_a_record_that_does_not_say_whose_it_is_is_left_alone(tmp_path, killed, text):
    killed.write_text(text)
    assert end(tmp_path) == []
    assert killed.read_text() == text

"""Sessions on a batch system: who was killed is found by who comes next, who lives is not."""

import os

from uemdask.execution.cluster.session import end_abandoned, session


def test_nothing_is_left_of_a_session_that_ended(tmp_path):
    with session(tmp_path) as own:
        own.note("17")
        assert (own.place / "jobs").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_driver_that_lives_keeps_its_jobs(tmp_path):
    with session(tmp_path) as own:
        own.note("17")
        assert end_abandoned(tmp_path) == []
        assert (own.place / "jobs").read_text() == "17\n"


def test_jobs_of_a_driver_that_was_killed_are_found_once(tmp_path):
    if not (child := os.fork()):
        with session(tmp_path) as own:
            own.note("17")
            own.note("18")
            os._exit(9)
    os.waitpid(child, 0)
    assert end_abandoned(tmp_path) == ["17", "18"]
    assert end_abandoned(tmp_path) == []
    assert list(tmp_path.iterdir()) == []

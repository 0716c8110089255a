"""The end of a job's log says why no worker came, whatever Dask wrote around it."""

from uemdask.execution.cluster.job_log import end_of_log

FRAMES = "\n".join(f'  File "core.py", line {n}, in start\n    await it' for n in range(30))
LOG = f"""\
module: command not found
2026-01-01 10:00:00,000 - distributed.nanny - INFO - Start Nanny at: 'tls://10.0.0.1:4'
2026-01-01 10:00:01,000 - distributed.nanny - ERROR - Failed to initialize worker
Traceback (most recent call last):
  File "nanny.py", line 1, in run
    import uemdask
    ^^^^^^^^^^^^^^
ModuleNotFoundError: No module named 'uemdask'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
{FRAMES}
RuntimeError: Nanny failed to start.
"""


def test_the_cause_is_shown_without_the_frames(tmp_path):
    (tmp_path / "uemdask-cpu-7.err").write_text(LOG)
    path, lines = end_of_log("7", tmp_path)
    assert path == tmp_path / "uemdask-cpu-7.err"
    assert lines == [
        "module: command not found",
        "2026-01-01 10:00:01,000 - distributed.nanny - ERROR - Failed to initialize worker",
        "ModuleNotFoundError: No module named 'uemdask'",
        "RuntimeError: Nanny failed to start.",
    ]


def test_a_log_of_frames_alone_is_shown_as_it_is(tmp_path):
    (tmp_path / "uemdask-cpu-7.err").write_text("Traceback (most recent call last):\n  File a\n")
    assert end_of_log("7", tmp_path)[1] == ["Traceback (most recent call last):", "  File a"]


def test_the_log_is_that_of_the_job(tmp_path):
    for name in ("uemdask-cpu-70.err", "uemdask-cpu-17.err"):
        (tmp_path / name).write_text("of another job")
    (tmp_path / "uemdask-cpu-7.err").touch()
    assert end_of_log("7", tmp_path) == (None, [])
    (tmp_path / "uemdask-cpu-7.out").write_text("killed\n")
    assert end_of_log("7", tmp_path)[1] == ["killed"]

"""Entry point: collects the verbs and turns errors into one sentence and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import click

from uemdask_cli.plain_stream import PlainStream

#: What the system says where rights are missing.
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
#: Exit codes of the command contract.
ALL_DONE, SOME_FAILED, BAD_INPUT = 0, 1, 2
#: Signals that ask a driver to stop.
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: So long stopping may take before a further signal counts, s; and when the last one came.
_PATIENCE = 30.0
_asked = -_PATIENCE


class _Verbs(click.Group):
    """Loads a verb when it is named, and none for ``--help``.

    A verb's module imports click alone; it takes from the library what it needs when it is called.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        module = __import__(f"uemdask_cli.{_VERBS[name]}", fromlist=["command"])
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


_VERBS = {
    "demo": "demo",
    "simulate": "simulate",
    "ingest": "ingest",
    "info": "info",
    "run": "run",
    "status": "status",
    "report": "report",
    "evaluate": "evaluate",
    "export": "export",
    "verify": "verify",
    "cluster": "cluster",
}
_SUMMARIES = {
    "demo": "simulate an acquisition, process it, open the way to the report",
    "simulate": "write a raw acquisition with exact truth beside it",
    "ingest": "raw folder or stack to a run",
    "info": "what is in a run, and what is missing",
    "run": "all stages for all runs of a campaign; goes on where it stopped",
    "status": "runs and stages: done, failed, left",
    "report": "a page with pictures of a run or a campaign",
    "evaluate": "errors of a run against a known truth",
    "export": "the results without the frames, to take home",
    "verify": "check the files of runs; make again what is damaged",
    "cluster": "check a cluster profile; write the script of a job that does everything",
}


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="uemdask", prog_name="uemdask")
@click.pass_context
def uemdask(ctx: click.Context, debug: bool) -> None:
    """Measure phonon wave fronts in ultrafast electron microscopy, for many data sets at once."""
    ctx.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit code."""
    # The end of a job or of a terminal is no reason to leave worker jobs behind.
    for number in _ENDS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not nohup
            signal.signal(number, _stop)
    # A worker that is ended at once leaves a semaphore. The tracker removes it, and would tell: it
    # is another process, which is started with these options.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _stop(number: int, frame: FrameType | None) -> None:
    """Stop in good order; whoever asks again soon does not break that off."""
    global _asked
    now = time.monotonic()
    if now - _asked < _PATIENCE:
        return
    _asked = now
    with suppress(OSError):  # a terminal that is gone
        os.write(2, b"\nuemdask: stopping; workers and jobs are given back ...\n")
    raise KeyboardInterrupt


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    # Wherever it stands, a user expects --debug to work.
    arguments = (["--debug"] if debug else []) + [a for a in arguments if a != "--debug"]
    try:
        _speak_plainly()
        code: Any = uemdask.main(arguments, prog_name="uemdask", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("stopped; the same command goes on from here")
        # An interrupt that came through an exec() (dataclasses use it) leaves a mark by which
        # `python -m` ends from the signal, whatever its exit code. The next exec() wipes it out.
        exec("")  # noqa: S102 -- nothing is executed
        return 130
    except click.ClickException as error:
        error.show()
        return BAD_INPUT
    except OSError as error:
        if debug:
            raise
        remedy = "; check who may write there, or name another place" * (
            error.errno in _NOT_ALLOWED
        )
        _say(f"{error.filename or 'the system'}: {error.strerror or error}{remedy}")
        return BAD_INPUT
    except Exception as error:
        from uemdask.errors import UemError

        if debug:
            raise
        if isinstance(error, UemError):
            _say(str(error))
            return BAD_INPUT
        _say(
            f"a fault of uemdask itself, not of your input ({type(error).__name__}: {error}); "
            f"the same command with --debug shows where, please report that"
        )
        return BAD_INPUT
    return code if isinstance(code, int) else ALL_DONE


def _speak_plainly() -> None:
    """Let no control characters through: names, job logs and messages may hold some."""
    sys.stdout, sys.stderr = PlainStream(sys.stdout), PlainStream(sys.stderr)


def _say(text: str) -> None:
    click.echo(f"uemdask: {text}", err=True)

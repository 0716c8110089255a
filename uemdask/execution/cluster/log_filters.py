"""What Dask would print of workers and schedulers that end; the driver tells it, and what to do."""

from __future__ import annotations

import asyncio
import logging
import warnings


class _ReportedElsewhere(logging.Filter):
    """Drops what is told elsewhere."""

    _SAID = (
        "still alive after",
        "exceeded",
        "is slow to",
        "Restarting worker",
        "TLS handshake failed",  # of a worker that ended as it came
        "Failed to reconnect to scheduler",
        "Received heartbeat from unregistered worker",  # of one that was just given back
        # On a worker. A failed task is in the ledger. A heartbeat fails where the scheduler has
        # closed before the worker, at the end of every busy run; that it died the driver tells.
        "Compute Failed",
        "Failed to communicate with",
    )

    def filter(self, record: logging.LogRecord) -> bool:
        # To look for a scheduler that is lost ends with the driver.
        given_up = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
        return not given_up and not any(words in str(record.msg) for words in self._SAID)


_REPORTED_ELSEWHERE = _ReportedElsewhere()
_DRIVER = (
    *("distributed.client", "distributed.comm.tcp"),
    *("distributed.nanny", "distributed.nanny.memory", "distributed.scheduler"),
)


def filter_log(*loggers: str) -> None:
    """Leave out of logs of this process what is told elsewhere; doing it again does nothing."""
    for name in loggers:
        logging.getLogger(name).addFilter(_REPORTED_ELSEWHERE)


def filter_driver_log() -> None:
    """Leave out of the driver's log and warnings what it tells in plain words."""
    warnings.filterwarnings("ignore", r"Port \d+ is already in use", UserWarning)
    filter_log(*_DRIVER)

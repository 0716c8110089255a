"""What Dask would print of workers and schedulers that end; the driver tells it, and what to do."""

from __future__ import annotations

import asyncio
import logging
import warnings


class _ToldElsewhere(logging.Filter):
    """Drops what Dask says of workers and schedulers that end."""

    _SAID = (
        "still alive after",
        "exceeded",
        "is slow to",
        "Restarting worker",
        "TLS handshake failed",  # of a worker that ended as it came
        "Failed to reconnect to scheduler",
        "Received heartbeat from unregistered worker",  # of one that was just given back
    )

    def filter(self, record: logging.LogRecord) -> bool:
        # To look for a scheduler that is lost ends with the driver.
        given_up = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
        return not given_up and not any(words in str(record.msg) for words in self._SAID)


_TOLD_ELSEWHERE = _ToldElsewhere()
_TELL = (
    *("distributed.client", "distributed.comm.tcp"),
    *("distributed.nanny", "distributed.nanny.memory", "distributed.scheduler"),
)


def quieten() -> None:
    """Leave out of this process's log and warnings what the driver tells in plain words."""
    warnings.filterwarnings("ignore", r"Port \d+ is already in use", UserWarning)
    for name in _TELL:
        logging.getLogger(name).addFilter(_TOLD_ELSEWHERE)

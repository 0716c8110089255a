"""One of the processes of a training: ``python -m uemdask.network.process_main FOLDER RANK``.

`uemdask.network.processes` starts it. It says what happens on its standard output, a JSON
object a line, and ends when its standard input does: whoever started it is gone then.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

import torch

from uemdask.errors import UemError
from uemdask.network.checkpoint import save_model
from uemdask.network.process_group import join_process_group
from uemdask.network.training_job import do_job, read_job


def main(folder: Path, rank: int, meeting: Path) -> int:
    """Take part in a training, and return the exit code."""
    said = _own_output()
    parent = threading.Thread(target=_end_with_parent, daemon=True)
    parent.start()
    try:
        job = read_job(folder)
        torch.set_num_threads(job.threads)
        device = job.devices[rank]
        if device.type == "cuda":
            torch.cuda.set_device(device)
        join_process_group(rank, len(job.devices), meeting=meeting, device=device)
        result = do_job(job, device, lambda entry: _say(said, {"entry": entry}))
        if rank > 0:
            parent.join()  # the first is still at work, and may take a lost connection amiss
        save_model(folder / "model.pt", result.model)
        _say(said, {"ending": {"history": result.history, "step": result.step}})
    except UemError as error:
        _say(said, {"error": str(error)})
        return 1
    return 0


def _own_output() -> TextIO:
    """Keep the standard output for what is said here; what libraries print goes to the log."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def _say(stream: TextIO, what: dict[str, Any]) -> None:
    stream.write(json.dumps(what) + "\n")
    stream.flush()


def _end_with_parent() -> None:
    while os.read(0, 1):  # unbuffered: a buffer would be locked when this process ends
        pass
    os._exit(1)  # the main thread may be waiting for another process for a long time


if __name__ == "__main__":
    code = 1
    try:
        code = main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    except Exception:
        traceback.print_exc()
    # Not the usual way out: threads of PyTorch that are still there can abort it.
    os._exit(code)

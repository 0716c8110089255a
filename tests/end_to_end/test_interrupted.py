"""Ctrl-C soon after a training began: nothing that was done is lost, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uemdask.network.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow

_PATIENCE = 300.0  # s


def _steps(history: Path) -> int:
    """Return how many steps a training has told of."""
    if not history.exists():
        return 0
    lines = history.read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    return max((entry.get("step", 0) for entry in entries), default=0)


def test_an_impatient_user_loses_no_training(tmp_path, raw):
    settings = (
        "label.methods=[dis]",
        "label.base=false",
        "train.exact_share=0",
        "train.unet={filters: [4, 8]}",
        "train.training={pretrain_steps: 100000, crop: 32, batch: 2, record_every: 5}",
    )
    options = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "uemdask_cli", "run", str(raw), "--model", "new", *options]
    log = tmp_path / "log"
    models = tmp_path / "results" / "models"
    with log.open("w") as said:
        driver = subprocess.Popen(
            [*command, "--output", str(tmp_path / "results")],
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            start_new_session=True,  # what a terminal does: Ctrl-C is for all processes of it
            # What tests in several processes, or behind a "&", ignore, a terminal does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        end = time.monotonic() + _PATIENCE
        # Checkpoints are due once a minute; the first ones come sooner.
        while not list(models.glob("*.checkpoint")) or _steps(models / "plane.history.jsonl") < 20:
            assert driver.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        for _ in range(3):
            os.killpg(driver.pid, signal.SIGINT)
            time.sleep(0.3)
        assert driver.wait(_PATIENCE) == 130, log.read_text()
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
    text = log.read_text()
    assert text.endswith("uemdask: stopped; the same command goes on from here\n")
    for word in ("Traceback", "leaked", "Warning", "Exception ignored"):
        assert word not in text
    (checkpoint,) = models.glob("*.checkpoint")
    assert load_checkpoint(checkpoint)["step"] > 0
    end = time.monotonic() + 30.0
    while _is_there(driver.pid):  # nor is a process left of its group; its trackers end after it
        assert time.monotonic() < end
        time.sleep(0.2)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_while_code_is_made_ends_with_130_too(tmp_path):
    """A dataclass is made by `exec`; an interrupt within it leaves a mark on `python -m`."""
    (tmp_path / "interrupted.py").write_text(
        "from uemdask_cli import main\n"
        "main.uemdask.main = lambda *_, **__: exec('raise KeyboardInterrupt')\n"
        "main.main([])\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert done.returncode == 130, done.stderr

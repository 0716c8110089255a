"""A training on several processes, or killed and resumed, ends as one that nobody disturbed."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from uemdask.errors import UemError
from uemdask.network import processes
from uemdask.network.augmentation import AugmentationConfig
from uemdask.network.checkpoint import load_checkpoint, load_model
from uemdask.network.dataset import Series, SeriesSource
from uemdask.network.processes import train_on
from uemdask.network.training_config import TrainingConfig
from uemdask.network.training_job import Job, read_job, write_job
from uemdask.network.unet import UNet, UNetConfig

pytestmark = pytest.mark.slow

torch.set_num_threads(1)
CPU = torch.device("cpu")
TIMES, SIZE = 10, 48


def noisy_wave(seed: int) -> Series:
    """Return a plane wave with noise, seen by a mask and trusted more in some places."""
    rng = np.random.default_rng(seed)
    t, y, x = np.ogrid[:TIMES, :SIZE, :SIZE]
    wave = np.cos(2 * np.pi * (x + 0.4 * y - 2 * t) / 16) + rng.normal(0, 0.1, (TIMES, SIZE, SIZE))
    label = np.broadcast_to([1.7, 0.7], (TIMES - 1, SIZE, SIZE, 2)).transpose(0, 3, 1, 2)
    return Series(
        wave=wave.astype(np.float16),
        scale=0.7,
        label=label.astype(np.float16),
        confidence=rng.integers(0, 256, (TIMES - 1, SIZE, SIZE)).astype(np.uint8),
        mask=(x + y < 70).reshape(SIZE, SIZE),
        frame_from=np.arange(TIMES - 1),
        frame_to=np.arange(1, TIMES),
    )


def job(count: int = 1, checkpoint: Path | None = None, **changes: object) -> Job:
    """Return a training of 40 steps: five crops in the first phase, two in the second."""
    config = TrainingConfig(
        **{
            "crop": 32,
            "batch": 5,
            "pretrain_steps": 24,
            "finetune_steps": 16,
            # Low, or rounding grows with the steps and hides what the test is about.
            "pretrain_rate": 1e-3,
            "finetune_rate": 3e-4,
            "warmup_steps": 2,
            "baselines": (1, 2),
            "record_every": 1,
            "checkpoint_every": 0.02,
            "augmentation": AugmentationConfig(noise=0.1),
        }
        | changes
    )
    return Job(
        groups=[([noisy_wave(0), noisy_wave(1)], 0.75), ([noisy_wave(2)], 0.25)],
        devices=(CPU,) * count,
        config=config,
        unet_config=UNetConfig(filters=(6, 12), dropout=0.1, flow_unit=2.0),
        checkpoint=checkpoint,
        held_out=SeriesSource([noisy_wave(3)]).draw(np.random.default_rng(3), 2, crop=32, length=1),
    )


def silent(entry: dict) -> None:
    """Hear nothing."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> UNet:
    """Return what an undisturbed training in one process ends with."""
    return train_on(job(), tmp_path_factory.mktemp("alone") / "shared", silent).model


def difference(one: UNet, other: UNet) -> float:
    """Return the distance of two networks, relative to the length of all their weights."""
    flat = [torch.cat([w.flatten() for w in model.state_dict().values()]) for model in (one, other)]
    return float((flat[0] - flat[1]).norm() / flat[0].norm())


def test_a_job_is_read_back_as_it_was_written(tmp_path):
    written = job(2, tmp_path / "checkpoint")
    write_job(tmp_path / "job", written)
    found = read_job(tmp_path / "job")
    assert (found.config, found.unet_config) == (written.config, written.unet_config)
    assert (found.devices, found.checkpoint) == (written.devices, written.checkpoint)
    assert [share for _, share in found.groups] == [0.75, 0.25]
    for (group, _), (same, _) in zip(written.groups, found.groups, strict=True):
        for one, other in zip(group, same, strict=True):
            assert one.scale == other.scale
            assert isinstance(other.wave, np.memmap)  # pages that all processes share
            for name in ("wave", "label", "confidence", "mask", "frame_from", "frame_to"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for one, other in zip(written.held_out, found.held_out, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_two_processes_end_with_the_weights_of_one(tmp_path, alone):
    # Three of five crops for one and two for the other; in the second phase one each.
    entries: list[dict] = []
    result = train_on(job(2), tmp_path / "shared", entries.append)
    assert difference(alone, result.model) < 1e-6
    assert difference(alone, result.model) > 0  # they did not do all of it twice
    assert [entry["step"] for entry in entries[:-1]] == list(range(1, 41))
    assert result.history == entries
    assert entries[-1]["phase"] == "guard"
    assert not (tmp_path / "shared").exists()


def test_a_process_that_dies_takes_the_others_down_and_one_alone_goes_on(
    tmp_path, alone, monkeypatch
):
    started = []
    start = processes._start
    monkeypatch.setattr(processes, "_start", lambda *a: started.append(start(*a)) or started[-1])

    def kill(entry: dict) -> None:
        if entry["step"] == 10:
            started[1].kill()

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(RuntimeError, match="process 2 of 2 of the training was killed"):
        train_on(job(2, checkpoint), tmp_path / "shared", kill)
    assert all(process.returncode for process in started)
    assert not (tmp_path / "shared").exists()
    steps: list[int] = []
    result = train_on(
        job(1, checkpoint), tmp_path / "shared", lambda entry: steps.append(entry.get("step", 0))
    )
    assert steps[0] > 1
    assert difference(alone, result.model) < 1e-6


#: What the task of a training does, in a process that may be killed.
TASK = """
import sys
from pathlib import Path
import torch
from uemdask.network import save_model, train_on
from uemdask.network.training_job import read_job
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
folder = Path(sys.argv[1])
say = lambda entry: print(entry.get("step", 0), flush=True)
result = train_on(read_job(folder / "job"), folder / "shared", say)
save_model(folder / "model.pt", result.model)
"""


def test_killed_twice_it_ends_with_the_same_weights_bit_for_bit(tmp_path, alone):
    checkpoint = tmp_path / "checkpoint"
    write_job(tmp_path / "job", job(1, checkpoint))
    first = []
    for earliest, latest in ((4, 14), (20, 34)):
        task = _task(tmp_path)
        assert task.stdout is not None
        first.append(int(task.stdout.readline()))
        fatal = random.randint(earliest, latest)
        while int(task.stdout.readline()) < fatal or not checkpoint.exists():
            pass
        time.sleep(random.uniform(0, 0.01))  # anywhere in a step, or in writing a checkpoint
        task.kill()
        task.communicate()
        assert task.returncode == -signal.SIGKILL
    assert not (tmp_path / "model.pt").exists()
    task = _task(tmp_path)
    steps = [int(line) for line in task.communicate(timeout=300)[0].split()]
    assert task.returncode == 0
    first.append(steps[0])
    assert first[0] == 1 < first[1] < first[2]
    assert difference(alone, load_model(tmp_path / "model.pt")[0]) == 0
    assert load_checkpoint(checkpoint)["step"] == 40


def _task(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TASK, str(folder)], stdout=subprocess.PIPE, text=True
    )


def test_a_process_ends_when_whoever_started_it_is_gone(tmp_path):
    write_job(tmp_path / "job", job(2))
    # The other one of two never comes, so this one waits for it.
    rank = processes._start(tmp_path / "job", 0, tmp_path / "meeting")
    while not (tmp_path / "meeting").exists():
        assert rank.poll() is None
        time.sleep(0.05)
    assert rank.stdin is not None
    rank.stdin.close()
    rank.stdout.close()
    assert rank.wait(timeout=120) == 1


@pytest.fixture
def acting(monkeypatch):
    """Return a function that lets other programs stand in for the processes."""

    def act(*programs: str) -> list[subprocess.Popen]:
        started: list[subprocess.Popen] = []

        def start(folder: Path, rank: int, meeting: Path) -> subprocess.Popen:
            with (folder / f"rank-{rank}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        [sys.executable, "-c", programs[rank]],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                    )
                )
            return started[-1]

        monkeypatch.setattr(processes, "_start", start)
        return started

    return act


def test_an_error_for_people_is_passed_on_and_the_others_are_ended(tmp_path, acting):
    started = acting(
        "import time; time.sleep(600)",
        'print(\'{"error": "the loss is not finite; use a lower learning rate"}\'); exit(1)',
    )
    with pytest.raises(UemError, match="use a lower learning rate"):
        train_on(job(2), tmp_path / "shared", silent)
    assert [process.returncode for process in started] == [-signal.SIGKILL, 1]
    assert not (tmp_path / "shared").exists()


def test_the_end_of_the_log_is_told_of_a_process_that_broke_down(tmp_path, acting):
    acting("import time; time.sleep(600)", "raise MemoryError('no room for 3 GiB')")
    with pytest.raises(RuntimeError, match=r"process 2 of 2.*exit code 1[^$]*no room for 3 GiB"):
        train_on(job(2), tmp_path / "shared", silent)


def test_what_is_to_blame_is_told_not_what_followed(tmp_path, acting):
    acting(
        "import time; time.sleep(0.3); raise OSError('Connection closed by peer')",
        f"import os; os.kill(os.getpid(), {signal.SIGKILL:d})",
    )
    with pytest.raises(RuntimeError, match="process 2 of 2 of the training was killed"):
        train_on(job(2), tmp_path / "shared", silent)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UemError, match=r"file/shared: .*set 'processes' to 1"):
        train_on(job(2), tmp_path / "file" / "shared", silent)


def test_a_disk_that_becomes_full_is_not_left_full_of_training_data(tmp_path, monkeypatch):
    save, room = np.save, iter(range(3))

    def save_while_there_is_room(file, array):
        if next(room, None) is None:
            raise OSError(28, "No space left on device")
        save(file, array)

    monkeypatch.setattr(np, "save", save_while_there_is_room)
    with pytest.raises(UemError, match="make room, or set 'processes' to 1"):
        train_on(job(2), tmp_path / "shared", silent)
    assert list(tmp_path.iterdir()) == []

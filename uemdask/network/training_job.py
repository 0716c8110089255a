"""What the processes of one training are given: a folder of plain files, mapped into memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uemdask.errors import UemError
from uemdask.network.checkpoint import load_checkpoint, load_model, save_checkpoint, save_model
from uemdask.network.dataset import Crops, Series, source_of
from uemdask.network.device import data_device
from uemdask.network.training import TrainingResult, train
from uemdask.network.training_config import TrainingConfig
from uemdask.network.unet import UNet, UNetConfig

_ARRAYS = ("wave", "label", "confidence", "mask", "frame_from", "frame_to")


@dataclass(frozen=True)
class Job:
    """All that decides a training, and where it runs.

    Attributes
    ----------
    groups : sequence of (sequence of Series, float)
        What to draw crops from, and the share of each group in a batch.
    devices : tuple of torch.device
        One for each process.
    threads : int
        CPU threads of each process.
    config, unet_config, checkpoint, start, held_out
        As for `uemdask.network.train`.
    """

    groups: Sequence[tuple[Sequence[Series], float]]
    devices: tuple[torch.device, ...]
    threads: int = 1
    config: TrainingConfig = field(default_factory=TrainingConfig)
    unet_config: UNetConfig | None = None
    checkpoint: Path | None = None
    start: UNet | None = None
    held_out: Crops | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all series."""
        return sum(series.nbytes for group, _ in self.groups for series in group)


def write_job(folder: Path, job: Job) -> None:
    """Write a job into a new folder.

    Raises
    ------
    UemError
        If the disk is full or cannot be written.
    """
    try:
        folder.mkdir(parents=True, mode=0o700)
        groups = []
        for number, (group, share) in enumerate(job.groups):
            records = [
                _write_series(folder / f"{number}-{place}", series)
                for place, series in enumerate(group)
            ]
            groups.append({"share": share, "series": records})
        if job.start is not None:
            save_model(folder / "start.pt", job.start)
        if job.held_out is not None:
            save_checkpoint(folder / "held_out.pt", job.held_out._asdict())
        record = {
            "groups": groups,
            "devices": [str(device) for device in job.devices],
            "threads": job.threads,
            "config": job.config.model_dump(mode="json"),
            "unet_config": job.unet_config and job.unet_config.model_dump(mode="json"),
            "checkpoint": job.checkpoint and str(job.checkpoint.absolute()),
        }
        (folder / "job.json").write_text(json.dumps(record), encoding="utf-8")
    except OSError as error:
        raise UemError(
            f"{folder}: the training data cannot be written for several processes "
            f"({error.strerror}); make room, or set 'processes' to 1"
        ) from error


def read_job(folder: Path) -> Job:
    """Read a job back. The series lie in files that are mapped, so processes share their pages."""
    record = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    unet = record["unet_config"]
    held_out = folder / "held_out.pt"
    crops = load_checkpoint(held_out) if held_out.exists() else None
    start = folder / "start.pt"
    return Job(
        groups=[
            ([_read_series(folder, series) for series in group["series"]], group["share"])
            for group in record["groups"]
        ],
        devices=tuple(torch.device(device) for device in record["devices"]),
        threads=record["threads"],
        config=TrainingConfig.model_validate(record["config"]),
        unet_config=UNetConfig.model_validate(unet) if unet else None,
        checkpoint=Path(record["checkpoint"]) if record["checkpoint"] else None,
        start=load_model(start)[0] if start.exists() else None,
        held_out=Crops(*(crops[name] for name in Crops._fields)) if crops else None,
    )


def do_job(
    job: Job, device: torch.device, report: Callable[[dict[str, Any]], None]
) -> TrainingResult:
    """Do the part of a job that is this process's: all of it, where it has joined no others."""
    source = source_of(job.groups, data_device(job.nbytes, device))
    return train(
        source,
        job.config,
        job.unet_config,
        checkpoint=job.checkpoint,
        device=device,
        start=job.start,
        held_out=job.held_out,
        report=report,
    )


def _write_series(stem: Path, series: Series) -> dict[str, Any]:
    for name in _ARRAYS:
        np.save(stem.with_name(f"{stem.name}-{name}.npy"), getattr(series, name))
    return {"stem": stem.name, "scale": series.scale, "name": series.name}


def _read_series(folder: Path, record: dict[str, Any]) -> Series:
    arrays = {
        name: np.load(folder / f"{record['stem']}-{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in _ARRAYS
    }
    return Series(**arrays, scale=record["scale"], name=record["name"])

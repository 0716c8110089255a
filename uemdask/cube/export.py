"""Taking the results home without the frames."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from uemdask.atomic_write import sync_folder
from uemdask.cube.sidecar import remove_sidecar
from uemdask.cube.store import Run
from uemdask.errors import UemError

_LEFT_OUT = ("intensity", "dark", "wave")


def export_run(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> int:
    """Copy a run without `intensity`, `dark` and `wave`, and return the bytes of the copy.

    Chunks are copied as they are, so the results are the same bit for bit. The attribute
    ``export_of`` of the copy names the run.

    Raises
    ------
    UemError
        If there is no run at `path`, or something at `out`.
    """
    run, target = Run(path), Path(out)
    if target.exists():
        raise UemError(f"{target}: is there already; name another output")
    if run.path.resolve() in target.resolve().parents:
        raise UemError(f"{target}: lies inside the run; name another output")

    def left_out(folder: Path) -> tuple[str, ...]:
        return _LEFT_OUT if folder == run.path else ()

    part = target.with_name(target.name + ".part")
    remove_sidecar(part)
    try:
        shutil.copytree(run.path, part, ignore=lambda folder, names: left_out(Path(folder)))
        Run(part).describe(export_of=run.group.attrs.get("export_of", run.name))
        Run(part).consolidate()
        os.replace(part, target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return sum(file.stat().st_size for file in target.rglob("*") if file.is_file())

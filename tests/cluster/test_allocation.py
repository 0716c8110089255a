"""Everything inside one batch job."""

from __future__ import annotations

import subprocess
from collections import Counter


def test_one_heterogeneous_job(
    slurm, work, local, uemdask, receipts, same_arrays, until, done_tasks
):
    here = work("run0", launch="allocation")
    done = uemdask("run", "campaign.yaml", "--cluster", "profile.yaml", expect=2, cwd=here.folder)
    assert "uemdask cluster script" in done.stderr  # outside of a job it says how to get into one

    script = uemdask("cluster", "script", "profile.yaml", "campaign.yaml", cwd=here.folder).stdout
    (here.folder / "job.sh").write_text(script)
    before = len(slurm.ended())
    subprocess.run(
        ["sbatch", "-o", "out.txt", "-e", "out.txt", "job.sh"], cwd=here.folder, check=True
    )
    until(lambda: len(slurm.ended()) >= before + 2, limit=240)
    said = (here.folder / "out.txt").read_text()
    assert "1 of 1 runs done" in said, said
    assert {job.state for job in slurm.ended()[before:]} == {"COMPLETED"}

    store = here.store("run0")
    assert max(Counter(receipts(store)).values()) == 1
    pools = {(task["stage"], task["worker"].split(".")[0]) for task in done_tasks(store)}
    assert ("label", "cpu") in pools
    assert ("flow", "gpu") in pools
    same_arrays(local / "run0.zarr", store)

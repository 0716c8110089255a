"""What `uemdask cluster check` says of a worker, by what the worker found."""

import pytest

from uemdask.execution import check_cluster
from uemdask.execution.cluster.check import versions, worker_faults
from uemdask.execution.cluster.own_gpu import own_share
from uemdask.execution.cluster.profile import LocalProfile, Pool

POOL = Pool(name="gpu", cores=4, memory="8GiB", gpus=2)
SOUND = {
    "versions": versions(),
    "cores": 4,
    "memory": 4 * 2**30,
    "scratch": "/scratch",
    "free": 100 * 2**30,
    "note": "token",
    "folder": "/project",
    "written": "",
    "gpus": ["A100"],
    "gpu_trouble": "",
    "cuda": True,
    "visible": "0,1",
    "prologue": "",
}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"versions": versions() | {"dask": "2020.1"}}, "dask 2020.1 (here "),
        ({"versions": versions() | {"python": "3.9.1"}}, "python 3.9.1 (here "),
        ({"note": "No such file or directory"}, "does not see /project"),
        ({"prologue": "module load a (exit code 1); "}, "at: module load a (exit code 1); try"),
        ({"written": "Permission denied"}, "cannot write to /project (Permission denied)"),
        ({"free": 2**30}, "only 1.00 GiB are free in /scratch"),
        ({"cores": 1}, "its 2 processes have 1 cores"),
        ({"memory": 2 * 2**30}, "2.00 GiB, not 4.00 GiB"),
        ({"gpus": [], "gpu_trouble": "torch finds no CUDA device"}, "no GPU can be used"),
    ],
)
def test_each_fault_is_told_alone(found, said):
    faults = worker_faults(SOUND | found, versions(), "token", POOL)
    assert len(faults) == 1
    assert said in faults[0]


def test_a_torch_without_cuda_is_no_fault_of_the_job():
    found = SOUND | {"gpus": [], "gpu_trouble": "torch 2 is a build without CUDA", "cuda": False}
    (fault,) = worker_faults(found, versions(), "token", POOL)
    assert "install a torch with CUDA" in fault
    assert "job script" not in fault


def test_a_sound_worker():
    assert worker_faults(SOUND, versions(), "token", POOL) == []


def test_a_worker_of_a_whole_node_has_all_its_gpus():
    whole = POOL.model_copy(update={"processes": 1})
    found = SOUND | {"memory": 8 * 2**30}
    assert worker_faults(found | {"gpus": ["A100"] * 2}, versions(), "token", whole) == []
    (fault,) = worker_faults(found, versions(), "token", whole)
    assert "a worker has 1 of 2 GPUs" in fault


def test_each_worker_of_a_job_has_its_own_gpu():
    shares = [own_share("4,5,6,7", f"gpu.3-{number}") for number in range(4)]
    assert shares == ["4", "5", "6", "7"]
    assert own_share("4,5", "gpu.3") == "4,5"  # alone in its job
    assert [own_share("", f"gpu.3-{number}") for number in range(2)] == ["0", "1"]


@pytest.mark.slow
def test_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    assert check_cluster(LocalProfile(workers=1, dashboard_port=0), told.append) == []
    assert "GiB a worker" in told[0]
    assert list(tmp_path.iterdir()) == []  # nothing is left

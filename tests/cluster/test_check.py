"""``uemdask cluster check`` says in plain words what is wrong with a profile."""

from __future__ import annotations

import subprocess


def test_what_it_finds(slurm, work, uemdask):
    here = work("run0")
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    assert "#SBATCH -J uemdask-cpu" in done.stdout
    assert "#SBATCH --gres=gpu:1" in done.stdout
    assert "pool 'cpu': a worker came after" in done.stdout
    # Slurm hands out a GPU that is none, and the check says so; nothing else is wrong.
    assert len(done.stderr.splitlines()) == 1
    assert "pool 'gpu': no GPU can be used: " in done.stderr
    assert "CUDA_VISIBLE_DEVICES is '0'" in done.stderr
    assert slurm.waiting_or_running() == []


def test_a_wrong_python(slurm, work, uemdask):
    here = work("run0", python="/usr/bin/python3")
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    for pool in ("cpu", "gpu"):
        assert f"pool '{pool}': no worker could be started: " in done.stderr
    assert "No module named 'distributed'" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_module_that_is_not_there(slurm, work, uemdask):
    here = work("run0", prologue=["set -e", "no_such_module_command load python"])
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    assert "no_such_module_command: command not found" in done.stderr


def test_a_prologue_that_fails_but_lets_the_worker_start(slurm, work, uemdask):
    pools = [{"name": "cpu", "cores": 1, "memory": "2GiB"}]
    here = work("run0", prologue=["no_such_module_command load python"], pools=pools)
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    (fault,) = done.stderr.splitlines()
    assert "its prologue failed at: no_such_module_command load python (exit code 127)" in fault


def test_workers_without_room_for_their_libraries(slurm, work, uemdask):
    pools = [{"name": "cpu", "cores": 4, "memory": "1GiB"}]
    here = work("run0", pools=pools)
    before = len(slurm.ended())
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    assert "pool 'cpu': a worker has 256.00 MiB, and takes about 400.00 MiB" in done.stderr
    assert len(slurm.ended()) == before


def test_a_network_interface_that_is_not_there(slurm, work, uemdask):
    here = work("run0", interface="ib7")
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    assert "interface: 'ib7' is no network interface" in done.stderr
    assert " lo" in done.stderr


def test_a_scratch_folder_that_is_not_there(slurm, work, uemdask):
    here = work("run0", scratch="/proc/nowhere")
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    assert "/proc/nowhere" in done.stderr


def test_a_folder_that_cannot_be_made(slurm, work, uemdask):
    here = work("run0", folder="/proc/nowhere")
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    assert "folder: /proc/nowhere cannot be made" in done.stderr


def test_a_folder_that_cannot_be_written_to(slurm, work, uemdask, tmp_path):
    place = tmp_path / "jobs"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    try:
        (place / "logs").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        here = work("run0", folder=str(place))
        done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    finally:
        subprocess.run(["umount", place], check=True)
    assert f"folder: {place} cannot be written to; name one" in done.stderr


def test_jobs_that_will_never_start(slurm, work, uemdask):
    pools = [
        {"name": "cpu", "cores": 99, "memory": "2GiB", "processes": 1},
        {"name": "gpu", "cores": 1, "memory": "2GiB", "gpus": 1, "queue": "grpu"},
    ]
    here = work("run0", pools=pools)
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    assert "pool 'cpu': no worker could be started: job " in done.stderr
    assert "would wait for ever (PartitionConfig); compare 'queue'" in done.stderr
    assert "pool 'gpu': no worker could be started: sbatch refused the job" in done.stderr
    assert "Invalid partition name" in done.stderr
    assert slurm.waiting_or_running() == []


def test_blanks_and_umlauts_in_paths(slurm, work, uemdask):
    pools = [{"name": "cpu", "cores": 1, "memory": "2GiB"}]
    here = work("run0", folder="Jobs für Probe 3, Ä", pools=pools)
    done = uemdask("cluster", "check", "profile.yaml", cwd=here.folder)
    assert "profile.yaml: works" in done.stdout

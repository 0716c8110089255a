"""A training task takes the CPUs that are its own."""

import pytest

from uemdask.execution import worker


@pytest.mark.parametrize(
    ("slurm", "cpus"), [(None, 16), ("8", 8), ("64", 16), ("", 16), ("0", 16), ("many", 16)]
)
def test_cpus_are_those_of_the_slurm_task_within_what_the_system_grants(monkeypatch, slurm, cpus):
    monkeypatch.setattr(worker, "CPU_COUNT", 16)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    if slurm is not None:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", slurm)
    assert worker.own_cpus() == cpus

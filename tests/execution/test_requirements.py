"""Memory and disk that cannot suffice are told before the first task."""

import shutil
from collections import namedtuple

import pytest

from uemdask.errors import FaultsError
from uemdask.execution import Capacity, Cluster
from uemdask.execution.requirements import check_requirements, needs_of
from uemdask.execution.run_plan import plan_stages
from uemdask.stages import StageParameters

MIB = 2**20


def cluster(memory, gpu_memory=None):
    gpu = Capacity(1, memory=gpu_memory, place="pool 'gpu'") if gpu_memory else None
    return Cluster(
        client=None, dashboard="", cpu=Capacity(1, memory=memory, place="pool 'cpu'"), gpu=gpu
    )


def check(plan, cluster, **options):
    return check_requirements(plan_stages(plan, read_raw=False, **options), cluster)


def test_enough_is_not_mentioned(raw, plan):
    assert check(plan(raw), cluster(4096 * MIB)) == []
    assert check(plan(raw), cluster(0)) == []  # no limit


def test_too_little_memory_is_refused_for_all_stages_at_once(raw, plan):
    with pytest.raises(FaultsError) as caught:
        check(plan(raw), cluster(300 * MIB))
    faults = caught.value.faults
    assert {fault.split()[1] for fault in faults} >= {"ingest", "spectrum", "train", "flow"}
    assert all("a worker of pool 'cpu' has 300.00 MiB" in fault for fault in faults)
    assert all("raise 'memory'" in fault for fault in faults)


def test_each_stage_is_held_against_its_own_pool(raw, plan):
    with pytest.raises(FaultsError) as caught:
        check(plan(raw), cluster(4096 * MIB, gpu_memory=500 * MIB))
    assert {fault.split()[1] for fault in caught.value.faults} == {"train", "flow"}
    only = check(plan(raw), cluster(4096 * MIB, 500 * MIB), only=("spectrum",))
    assert only == []


def test_near_the_limit_is_a_warning(raw, plan):
    need = max(
        n.memory for n in needs_of({"time": 30, "y": 64, "x": 64}, plan(raw).runs[0].parameters)
    )
    found = check(plan(raw), cluster(int((400 * MIB + need) / 0.9)))
    assert any("stage train" in text for text in found)


def test_memory_follows_the_region_not_the_run():
    parameters = StageParameters()
    small = {"time": 100, "y": 1024, "x": 1024}
    large = {"time": 100, "y": 4096, "x": 4096}
    grows = {
        a.stage
        for a, b in zip(needs_of(small, parameters), needs_of(large, parameters), strict=True)
        if b.memory > a.memory
    }
    assert grows == {"ingest", "align"}  # they hold whole frames; the others hold regions


def test_a_disk_that_is_too_small_is_refused(raw, plan, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**5))
    with pytest.raises(FaultsError, match="are free; make room"):
        check(plan(raw), cluster(0))


def test_a_finished_run_needs_nothing(finished, plan, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
    assert check(plan(finished), cluster(1)) == []

"""Who has not this session's keys cannot talk to its scheduler, nor read them."""

from __future__ import annotations

import stat

import pytest
from distributed import Client

from uemdask.execution import open_cluster, read_profile


def test_tls_by_default(slurm, work, monkeypatch):
    here = work("run0")
    monkeypatch.chdir(here.folder)
    with open_cluster(read_profile(here.folder / "profile.yaml")) as cluster:
        address = cluster.client.scheduler.address
        assert address.startswith("tls://")
        assert cluster.client.submit(sum, (1, 2), resources={"CPU": 1}).result(timeout=90) == 3
        for outsider in (address, address.replace("tls://", "tcp://")):
            with pytest.raises((OSError, TypeError)):
                Client(outsider, timeout=3, set_as_default=False)
        keys = next((here.folder / "uemdask-jobs").glob("session-*"))
        assert stat.S_IMODE(keys.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in keys.glob("*.pem")} == {0o600}
    assert not keys.exists()

"""Clusters: a place where there is none is said in one sentence; sockets are on loopback."""

from contextlib import ExitStack
from urllib.parse import urlsplit

import psutil
import pytest

from uemdask.errors import UemError
from uemdask.execution import LocalProfile, open_cluster, read_profile
from uemdask.execution.cluster import connect


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "no such"),
        ("no json", "is not the file of"),
        ("[1]", "is not the file of"),
        ('{"address": "tls://127.0.0.1:9"}', "the scheduler talks TLS; give the files of its"),
        ('{"address": "tcp://127.0.0.1:9"}', "may be that of one that has ended"),
    ],
)
def test_a_scheduler_file_that_is_none_is_named(tmp_path, monkeypatch, text, match):
    monkeypatch.setattr(connect, "_ANSWER", 1)  # s
    file = tmp_path / "scheduler.json"
    if text is not None:
        file.write_text(text)
    (tmp_path / "profile.yaml").write_text(f"kind: existing\nscheduler_file: {file}\n")
    found = read_profile(tmp_path / "profile.yaml")
    with pytest.raises(UemError, match=match), open_cluster(found):
        raise AssertionError("no cluster was expected")


def test_a_scheduler_file_in_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "profile.yaml").write_text("kind: existing\nscheduler_file: ~/scheduler.json\n")
    found = read_profile(tmp_path / "profile.yaml")
    with pytest.raises(UemError, match=f"^{tmp_path}/scheduler.json: there is no"):
        ExitStack().enter_context(open_cluster(found))


def test_files_of_a_certificate_that_are_not_there(tmp_path):
    text = "kind: existing\naddress: tls://h:1\ntls: {ca: a.pem, certificate: c.pem, key: k.pem}\n"
    (tmp_path / "profile.yaml").write_text(text)
    found = read_profile(tmp_path / "profile.yaml")
    with pytest.raises(UemError, match=r"^tls.ca: /.*/a.pem is not there"):
        ExitStack().enter_context(open_cluster(found))


@pytest.mark.slow
def test_a_local_cluster_and_its_dashboard_listen_on_loopback_alone():
    with open_cluster(LocalProfile(workers=1, dashboard_port=0)) as cluster:
        here = psutil.Process()
        sockets = [
            socket.laddr
            for process in (here, *here.children(recursive=True))
            for socket in process.net_connections("inet")
            if socket.status == psutil.CONN_LISTEN
        ]
        assert urlsplit(cluster.dashboard).port in {port for _, port in sockets}
        assert {address for address, _ in sockets} == {"127.0.0.1"}

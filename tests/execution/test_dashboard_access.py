"""The dashboard answers nobody whom a foreign web page has sent, and says where it is."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
import warnings
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from uemdask.execution import open_cluster
from uemdask.execution.cluster.dashboard_access import is_foreign

PORT = "8787"


@pytest.mark.parametrize(
    ("host", "foreign"),
    [
        ("localhost:8787", False),
        ("LOCALHOST", False),
        ("localhost.:8787", False),
        ("127.0.0.1:9999", False),  # through a tunnel
        ("127.8.8.8", False),
        ("[::1]:8787", False),
        ("hub.site.org", False),
        ("site.example:8787", True),
        ("localhost.site.example:8787", True),
        ("127.0.0.1.site.example", True),
        ("10.0.0.7:8787", True),
        ("localhost@site.example", True),
        ("localhost:8787,site.example", True),
        ("localhost:x", True),
        ("", True),
    ],
)
def test_a_host_is_one_of_this_machine(host, foreign):
    assert is_foreign({"Host": host}, ["hub.site.org"]) == foreign


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        ("http://localhost:8787", False),
        ("https://localhost:8787", False),
        ("https://hub.site.org", False),
        ("http://localhost:3000", True),  # another program's page on this machine
        ("http://127.0.0.1:8787", True),
        ("http://site.example", True),
        ("null", True),
        ("file://", True),
        ("", True),
    ],
)
def test_an_origin_is_the_page_itself(origin, foreign):
    headers = {"Host": "localhost:8787", "Origin": origin}
    assert is_foreign(headers, ["hub.site.org"]) == foreign


def test_where_a_scheduler_listens_to_all_its_addresses_are_names_too():
    assert not is_foreign({"Host": "10.0.0.7:8787"}, (), addresses=True)
    assert is_foreign({"Host": "site.example"}, (), addresses=True)


def status(address, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def websocket(address, **headers):
    async def connect():
        try:
            (await websocket_connect(HTTPRequest(address, headers=headers))).close()
        except HTTPClientError as error:
            return error.code
        return 101

    return asyncio.run(connect())


@pytest.fixture(name="profile")
def _profile(play, profile_of):
    """Return the profile of a batch cluster, which starts no worker before there is work."""
    for name in ("squeue", "scontrol", "scancel"):
        play(name)
    return profile_of("slurm")


def test_the_dashboard_refuses_a_foreign_page(profile):
    with open_cluster(profile) as cluster:
        root = cluster.dashboard.rpartition("/")[0]
        port = urlsplit(root).port
        for path in ("/status", "/info/main/workers.html", "/health", "/none"):
            assert status(root + path, Host="site.example:8787") == 403
            assert status(root + path, Origin="http://site.example") == 403
        assert status(f"{root}/health") == 200
        assert status(f"{root}/health", Host="localhost:1") == 200
        sockets = root.replace("http", "ws")
        here = {"Origin": f"http://127.0.0.1:{port}"}
        for path in ("/eventstream", "/status/ws"):
            assert websocket(sockets + path, Origin="http://site.example") == 403
            rebound = {"Host": "site.example:8787", "Origin": "http://site.example:8787"}
            assert websocket(sockets + path, **rebound) == 403
        assert websocket(f"{sockets}/eventstream", **here) == 101


def test_a_port_that_is_taken_is_one_plain_line(profile):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        wanted = profile.model_copy(update={"dashboard_port": taken})
        with warnings.catch_warnings(record=True) as warned, open_cluster(wanted) as cluster:
            port = urlsplit(cluster.dashboard).port
            hints = cluster.hints
    assert port != taken
    assert hints[0].startswith(f"port {taken} is in use or closed here; ")
    assert hints[0].endswith(f"the dashboard is on port {port}")
    assert json.dumps([str(warning.message) for warning in warned]) == "[]"

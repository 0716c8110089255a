"""Profiles of clusters: what is wrong with one is said before anything starts."""

import pytest

from uemdask.errors import FaultsError, UemError
from uemdask.execution import open_cluster, read_profile


@pytest.fixture
def profile(tmp_path):
    """Return a function that reads a profile of the given text."""

    def read(text):
        (tmp_path / "profile.yaml").write_text(text, encoding="utf-8")
        return read_profile(tmp_path / "profile.yaml")

    return read


@pytest.mark.parametrize("memory", ["2 bananas", "much"])
def test_memory_is_a_size(profile, memory):
    with pytest.raises(FaultsError) as caught:
        profile(f"memory: {memory}\n")
    assert any("memory" in fault and "2GiB" in fault for fault in caught.value.faults)
    assert profile("memory: 1.5 GiB\n").memory == "1.5 GiB"


def test_an_existing_cluster_needs_a_place(profile):
    with pytest.raises(UemError, match="scheduler_file"):
        profile("kind: existing\n")


@pytest.mark.parametrize(("text", "match"), [(None, "no such"), ("no json", "is not the file of")])
def test_a_scheduler_file_that_is_none_is_named(profile, tmp_path, text, match):
    file = tmp_path / "scheduler.json"
    if text is not None:
        file.write_text(text)
    found = profile(f"kind: existing\nscheduler_file: {file}\n")
    with pytest.raises(UemError, match=match), open_cluster(found):
        raise AssertionError("no cluster was expected")

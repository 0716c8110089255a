"""A scheduler that runs already: what is wrong with its place is said in one sentence."""

import pytest

from uemdask.errors import UemError
from uemdask.execution import open_cluster, read_profile


@pytest.mark.parametrize(("text", "match"), [(None, "no such"), ("no json", "is not the file of")])
def test_a_scheduler_file_that_is_none_is_named(tmp_path, text, match):
    file = tmp_path / "scheduler.json"
    if text is not None:
        file.write_text(text)
    (tmp_path / "profile.yaml").write_text(f"kind: existing\nscheduler_file: {file}\n")
    found = read_profile(tmp_path / "profile.yaml")
    with pytest.raises(UemError, match=match), open_cluster(found):
        raise AssertionError("no cluster was expected")

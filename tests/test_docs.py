"""What the docs say of defaults is what the program does."""

from __future__ import annotations

import re
from functools import reduce
from pathlib import Path

import pytest
import yaml

from uemdask.stages import StageParameters

_PAGE = Path(__file__).parents[1] / "docs" / "campaign.md"
#: Words for a default that is found from the data, or nothing.
_NONE = {"none", "chosen", "for whole pixels"}


def rows():
    """Yield key and stated default of each line of the table; ``a.b.c, .d`` is two keys."""
    for keys, default in re.findall(r"^\| (`\w+\..*?`) \| (.*?) \|", _PAGE.read_text(), re.M):
        names = re.findall(r"`(.*?)`", keys)
        values = [default] if len(names) == 1 else default.split(", ")
        for name, value in zip(names, values, strict=True):
            whole = name if not name.startswith(".") else names[0].rsplit(".", 1)[0] + name
            yield whole, value.strip("`")


@pytest.mark.parametrize(("key", "stated"), list(rows()))
def test_default_of_the_campaign_page(key, stated):
    found = reduce(getattr, key.split("."), StageParameters())
    if stated in _NONE:
        assert not found
    else:
        expected = yaml.safe_load(stated)
        assert (list(found) if isinstance(found, tuple) else found) == expected


def test_the_table_is_read():
    assert len(list(rows())) > 20

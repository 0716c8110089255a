"""The library speaks Python, the command flags."""

import re
from pathlib import Path

import pytest

import uemdask
from uemdask_cli.flags import _PARAMETER, with_flags


@pytest.mark.parametrize(
    ("library", "command"),
    [
        ("use `overwrite=True`", "use --overwrite"),
        ("make it with `only=['flow']`", "make it with --only flow"),
        ("and `only=['align', 'mode']` leaves that out", "and --only align --only mode leaves"),
        ("give `pixel_size='3nm'`", "give --pixel-size 3nm"),
        ("no `delays='-30:500:5 ps'` nor `delays=FILE`", "--delays '-30:500:5 ps' nor --delays F"),
        ("`delays=it's.csv`: no such file", "--delays it's.csv: no such file"),
        ("name one with `dataset`: a, b", "name one with --dataset: a, b"),
        ("a file `only` of ours and overwrite=True", "a file --only of ours and overwrite=True"),
        ("`views=4` is no flag, nor is ``only``", "`views=4` is no flag"),
    ],
)
def test_parameters_become_flags(library, command):
    assert command in with_flags(library)


def test_no_message_of_the_library_names_a_flag():
    flags = _PARAMETER.pattern.partition("(")[2].partition(")")[0].replace("_", "-")
    spoken = re.compile(rf"(?<!uemdask run )(?<![\w-])--({flags})\b")
    found = [
        f"{file.name}: {line.strip()}"
        for file in Path(uemdask.__file__).parent.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        # A whole command is one wherever it stands.
        if spoken.search(line) and file.name != "next_step.py"
    ]
    assert found == []

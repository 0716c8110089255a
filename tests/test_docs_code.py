"""Every line of code in README and docs runs: Python on a run of three regions, commands as far as
their options, YAML through the reader of campaigns."""

import ast
import re
import shlex
import shutil
import textwrap
from importlib.util import find_spec
from pathlib import Path

import click
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tifffile

from uemdask.execution import read_campaign
from uemdask.metadata import check_metadata
from uemdask.readers.yaml_text import read_yaml
from uemdask.simulate import scenario, simulate, write_acquisition
from uemdask_cli.main import uemdask as command

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))}
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.M | re.S)
#: A plug-in of a site is tested where plug-ins are.
_ELSEWHERE = "# our_microscope/reader.py"


def blocks(page, *languages):
    """Return the fenced blocks of some languages of a page."""
    return [
        textwrap.dedent(body)
        for _, language, body in _FENCE.findall(PAGES[page])
        if language in languages and not body.lstrip().startswith(_ELSEWHERE)
    ]


def with_blocks(*languages):
    return [page for page in sorted(PAGES) if blocks(page, *languages)]


@pytest.fixture
def here(wedge, tmp_path, monkeypatch):
    """Return a folder with all that the pages name, which is the current one."""
    folder = tmp_path / "here"
    shutil.copytree(wedge, folder)
    for name in ("NAME", "a", "b"):
        shutil.copytree(folder / "wedge.zarr", folder / f"{name}.zarr")
    small = simulate(scenario("plane", shape=(64, 64), frames=30))
    write_acquisition(small, folder / "log", delays="log")
    shutil.copy(next((folder / "log").glob("*.ulg")), folder / "raw" / "Ge.ulg")
    monkeypatch.chdir(folder)
    yield folder
    plt.close("all")


# ---- Python


def needs_hyperspy(statement):
    return "hyperspy" in statement or re.search(r"\b(hs|signal|back|new)\b", statement) is not None


@pytest.mark.parametrize("page", with_blocks("python"))
def test_every_line_of_python_runs(page, here):
    names = {}
    for block in blocks(page, "python"):
        away = False
        for node in ast.parse(block).body:
            statement = ast.unparse(node)
            # What hangs on a signal of HyperSpy ends with its block.
            away |= needs_hyperspy(statement) and not find_spec("hyperspy")
            if not away:
                exec(compile(statement, page, "exec"), names)
                plt.close("all")


def test_what_the_first_hour_writes_is_there(here):
    names = {}
    for node in ast.parse(blocks("README.md", "python")[0]).body:
        statement = ast.unparse(node)
        if find_spec("hyperspy") or not needs_hyperspy(statement):
            exec(compile(statement, "README.md", "exec"), names)
    assert list(names["ds"]["roi"].values) == ["left half", "corner", "everything relevant"]
    for name in ("features.csv", "wedge.nc", "wedge.nxs"):
        assert (here / name).stat().st_size > 1000


# ---- commands


def commands(page):
    """Yield commands and whether they stand alone; in a sentence only a part may be named."""
    text = PAGES[page]
    for line in re.findall(r"^(?: {4,}|\$ |)(uemdask [^\n]*)$", text, re.M):
        if line in "".join(body for _, _, body in _FENCE.findall(text)) or f"    {line}" in text:
            yield re.split(r" {2,}# | > | \| ", line)[0], True
    for span in re.findall(r"`(uemdask\s[^`]*)`", _FENCE.sub("", text)):
        yield " ".join(span.split()), False


COMMANDS = sorted({(page, *found) for page in PAGES for found in commands(page)})


@pytest.mark.parametrize(("page", "line", "whole"), COMMANDS)
def test_every_command_is_understood(page, line, whole, monkeypatch):
    monkeypatch.setattr(click.Command, "invoke", lambda self, ctx: None)
    try:
        command.main(shlex.split(line)[1:], prog_name="uemdask", standalone_mode=False)
    except click.MissingParameter:
        assert not whole, line
    except click.exceptions.NoArgsIsHelpError:
        assert not whole, line


def test_commands_are_found():
    assert ("README.md", "uemdask run wedge.zarr", True) in COMMANDS
    assert ("cluster.md", "uemdask cluster script polaris.yaml campaign.yaml", True) in COMMANDS
    assert len(COMMANDS) > 30


# ---- campaigns


@pytest.fixture
def beamtime(here):
    """Lay out the raw data that the campaigns of the pages name."""
    for name in ("wedge_1", "wedge_2"):
        shutil.copytree(here / "raw" / "wedge", here / "beamtime" / name)
    frames = sorted((here / "raw" / "wedge").glob("*.tif"))[:30]
    stack = np.stack([tifffile.imread(frame) for frame in frames])
    tifffile.imwrite(here / "beamtime" / "flake.tif", stack)
    (here / "calibration").mkdir()
    tifffile.imwrite(here / "calibration" / "dark.tif", np.zeros((64, 64), np.uint16))
    rows = "\n".join(f"{i},{5 * i}" for i in range(30))
    (here / "flake_delays.csv").write_text(f"frame,delay_ps\n{rows}\n")
    (here / "flake_drift.csv").write_text(
        "frame,x,y\n" + "\n".join(f"{i},0,0" for i in range(30)) + "\n"
    )
    shutil.copytree(here / "wedge.zarr", here / "old" / "earlier.zarr")
    return here


@pytest.mark.parametrize("page", with_blocks("yaml"))
def test_every_yaml_is_understood(page, beamtime):
    found = blocks(page, "yaml")
    for number, block in enumerate(found):
        file = beamtime / f"{number}.yaml"
        file.write_text(block)
        content = read_yaml(file)
        if "runs" in content:
            assert len(read_campaign(file).runs) >= 2
        elif "sample" in content:
            clean, notes = check_metadata(content, page)
            assert set(clean) == set(content)
            assert not notes

"""The command and the library start at once: what is heavy is imported where it is used."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import uemdask
from uemdask.cube import STAGES, create_run
from uemdask.simulate import DelaySource
from uemdask_cli import main, run, simulate

VERBS = main.uemdask.list_commands(None)
#: Import of each takes a tenth of a second and more.
HEAVY = {
    "bokeh", "cv2", "dask", "distributed", "h5py", "matplotlib", "numpy", "pydantic", "rich",
    "scipy", "torch", "uemdask", "xarray", "zarr",
}  # fmt: skip
#: What xarray and zarr are made of.
OF_ZARR = {"numpy", "xarray", "zarr", "uemdask"}


def loaded(code: str) -> set[str]:
    """Return the heavy packages that some code imports in a new process."""
    code = f"import sys\n{code}\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return HEAVY & {name.partition(".")[0] for name in done.stderr.split("\n")}


def test_help_imports_nothing_heavy():
    questions = [["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)]
    code = (
        "from uemdask_cli.main import uemdask\n"
        f"for words in {questions}:\n"
        "    uemdask.main(words, standalone_mode=False)"
    )
    assert loaded(code) == set()


def test_the_library_imports_less_than_xarray_and_zarr():
    assert loaded("import uemdask") <= OF_ZARR
    code = "import sys, uemdask; print(*(m for m in sys.modules if m.startswith('uemdask.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"uemdask.errors", "uemdask.version"}


def test_what_is_offered_is_there():
    for name in dir(uemdask):
        assert getattr(uemdask, name) is not None
    assert {"open_raw", "spectrum", "evaluate"} < set(dir(uemdask))
    with pytest.raises(AttributeError, match="no attribute 'opne_run'"):
        uemdask.opne_run  # noqa: B018


def test_a_dataset_has_its_methods_at_once():
    code = "import xarray, uemdask; print(type(xarray.Dataset().uem).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "UemAccessor\n"


def test_looking_at_a_run_imports_little_more(tmp_path):
    store = tmp_path / "a.zarr"
    create_run(
        store, delays=[0, 1], shape=(8, 8), dtype="uint8", pixel_size=(1, 1), source_file=["", ""]
    ).finish("ingest")
    code = f"from uemdask_cli.main import _run\nassert _run(['info', {str(store)!r}]) == 0"
    assert loaded(code) == OF_ZARR | {"pydantic"}


def test_the_command_offers_what_the_library_has():
    assert run.STAGES == STAGES
    (delays,) = (option for option in simulate.simulate.params if option.name == "delays")
    assert tuple(delays.type.choices) == get_args(DelaySource)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    command = main.uemdask.get_command(None, verb)
    assert command is not None
    assert command.help


def test_the_folder_that_holds_the_clone_does_not_hide_the_library(tmp_path):
    # A clone is called like the package, so that folder offers a 'uemdask' without a file in it.
    (tmp_path / "uemdask").symlink_to(Path(__file__).parents[1], target_is_directory=True)
    code = "import uemdask, uemdask_cli; print(uemdask.open_run.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.stdout.strip() == "open_run", (
        f"{done.stderr}; an editable install by path is wanted: 'pip install --editable .' again"
    )

"""The floors of the library: each imports only from those below it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import uemdask

_ROOT = Path(uemdask.__file__).parent
_CLI = _ROOT.parent / "cli" / "uemdask_cli"

#: From the ground up. What stands on one line does not know of each other.
_FLOORS = (
    ("errors", "printable", "version"),
    ("numbers",),
    ("atomic_write", "regular_files", "units"),
    ("metadata",),
    ("cube",),
    ("readers", "simulate"),
    ("align",),
    ("spectrum",),
    ("labels",),
    ("network",),
    ("motion",),
    ("regions",),
    ("evaluate",),
    ("accessor", "nexus", "signals", "stages"),
    ("execution",),
    ("monitor", "report"),
    ("__init__",),
    ("uemdask_cli",),
)
_HEIGHT = {name: height for height, names in enumerate(_FLOORS) for name in names}
# Kernels work on arrays alone; the lazy functions beside them on names, units and blocks.
_KERNELS = ("align", "spectrum", "labels", "network", "motion", "regions", "evaluate")
_NOT_FOR_KERNELS = {"cube", "metadata", "readers", "simulate"}
#: Parts of `cube` that know of no store.
_OF_ARRAYS = {
    "attributes",
    "blocks",
    "contract",
    "layout",
    "packing",
    "required_variables",
    "rounding",
}
# These score a whole run against its truth.
_EXCEPT = {f"evaluate/{name}.py": {"cube", "simulate"} for name in ("run_scores", "strength")}


def _files() -> Iterator[tuple[str, Path]]:
    for path in sorted(_ROOT.rglob("*.py")):
        yield path.relative_to(_ROOT).parts[0].removesuffix(".py"), path
    for path in sorted(_CLI.rglob("*.py")):
        yield "uemdask_cli", path


@cache
def _imports(path: Path, *, storeless: bool = False) -> set[str]:
    """Parts of uemdask that a file imports, anywhere in it; with `storeless` but those."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, _, rest = name.partition(".")
            if top == "uemdask":
                part, _, inside = rest.partition(".")
                if storeless and part == "cube" and inside.split(".")[0] in _OF_ARRAYS:
                    continue
                found.add(part if part in _HEIGHT else "__init__")
            elif top == "uemdask_cli":
                found.add(top)
    return found


def test_every_part_of_the_library_has_a_floor():
    assert {part for part, _ in _files()} <= set(_HEIGHT)


def test_the_drawing_shows_these_floors():
    page = (_ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = page.split("```text\n")[1].split("```")[0]
    drawn = [tuple(line[13:].split()[: len(floor)]) for line, floor in zip(
        drawing.splitlines(), reversed(_FLOORS), strict=True
    )]  # fmt: skip
    assert drawn == [tuple(sorted(floor)) for floor in reversed(_FLOORS)]


@pytest.mark.parametrize("part", _HEIGHT)
def test_a_floor_imports_only_from_below(part):
    wrong = [
        f"{path.name} imports {other}"
        for owner, path in _files()
        for other in _imports(path)
        if owner == part and other != part and _HEIGHT[other] >= _HEIGHT[part]
    ]
    assert not wrong


@pytest.mark.parametrize("part", _KERNELS)
def test_kernels_know_arrays_alone(part):
    for path in sorted((_ROOT / part).rglob("*.py")):
        allowed = _EXCEPT.get(f"{part}/{path.name}", set())
        assert not _imports(path, storeless=True) & (_NOT_FOR_KERNELS - allowed), path


@pytest.mark.parametrize("module", ["uemdask", "uemdask.cube, uemdask.readers, uemdask.units"])
def test_looking_at_a_run_does_not_wait_for_torch(module):
    code = (
        f"import sys, {module}\n"
        "print(*sorted({'torch', 'cv2', 'matplotlib', 'distributed'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == ""

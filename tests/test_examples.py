"""The examples in docstrings run as they stand, in a folder with a finished run."""

import doctest
import importlib
import pkgutil
import shutil

import numpy as np
import pytest

import uemdask

_FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def _examples() -> dict[str, doctest.DocTest]:
    found = {}
    for module in pkgutil.walk_packages(uemdask.__path__, "uemdask."):
        part = importlib.import_module(module.name)
        for test in doctest.DocTestFinder(exclude_empty=True).find(part, module.name):
            if test.examples:
                found[test.name] = test
    return found


EXAMPLES = _examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, wedge, tmp_path, monkeypatch):
    test = EXAMPLES[name]
    if "run.zarr" in test.docstring:
        shutil.copytree(wedge / "wedge.zarr", tmp_path / "run.zarr")
    if "raw/wedge" in test.docstring:
        shutil.copytree(wedge / "raw", tmp_path / "raw")
    monkeypatch.chdir(tmp_path)
    # As numpydoc has it: whoever reads it has imported numpy and what it is about, nothing else.
    own = test.name.removeprefix(test.globs["__name__"] + ".").split(".")[0]
    test.globs = {"np": np, "uemdask": uemdask, own: test.globs.get(own)}
    failed = doctest.DocTestRunner(optionflags=_FLAGS).run(test)
    assert not failed.failed


def test_most_public_parts_have_one():
    assert len(EXAMPLES) > 100

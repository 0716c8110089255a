"""Raw acquisitions as people leave them."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

SHAPE = (24, 32)


def _frame(number, dtype="uint16"):
    values = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) + 1000 * number
    return values.astype(dtype)


def _write_delays(raw, rows, head="file,delay_ps", name="delays.csv"):
    lines = [head] if head else []
    lines += [",".join(str(cell) for cell in row) for row in rows]
    (raw / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def frame():
    """Return a function of a number (and dtype) that gives an image like no other."""
    return _frame


@pytest.fixture
def write_delays():
    """Return a function that writes a table of delays into a folder."""
    return _write_delays


@pytest.fixture
def folder(tmp_path):
    """Five frames with pixel sizes and delays."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for i in range(5):
        tifffile.imwrite(
            raw / f"frame_{i}.tif",
            _frame(i),
            imagej=True,
            resolution=(1 / 2.5, 1 / 3.0),  # px per nm along x, y
            metadata={"axes": "YX", "unit": "nm"},
        )
    _write_delays(raw, [(f"frame_{i}.tif", 5.0 * i - 10) for i in range(5)])
    return raw


@pytest.fixture(scope="session")
def real_data():
    """Return a function of a folder and a name that gives a real file from an instrument."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("UEMDASK_TEST_DATA") or beside)

    def real_file(folder, name):
        if not (root / folder).is_dir():
            pytest.skip(f"UEMDASK_TEST_DATA does not name a folder with {folder}")
        return root / folder / name

    return real_file

"""Stages from Python: what a script gets."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.slow

SCRIPT = """
import uemdask
{guard}
    ds = uemdask.ingest("raw", "a.zarr", delays="0:11:1 ps", pixel_size="3nm")
    print(ds.intensity.dtype, *ds.intensity.mean(("y", "x")).values.round(3))
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "raw").mkdir()
    for i in range(12):
        # A half holds 1000, and not the sum over a frame.
        frame = np.full((48, 48), 1000 + 8 * i, np.float16)
        frame[::2] += 2 * (-1) ** np.arange(48)  # the mean is the same
        tifffile.imwrite(tmp_path / "raw" / f"f_{i:02d}.tif", frame)

    def run(guard: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "script.py").write_text(SCRIPT.format(guard=guard))
        command = [sys.executable, "script.py"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=400)

    return run


def test_frames_in_half_precision_have_the_right_mean(script):
    done = script("if __name__ == '__main__':")
    assert done.returncode == 0, done.stderr
    kind, *means = done.stdout.split()
    assert kind == "float32"
    assert [float(mean) for mean in means] == [1000 + 8 * i for i in range(12)]


def test_a_script_without_its_guard_is_told_so(script):
    done = script("if True:")
    assert done.returncode == 1
    assert "under `if __name__ == '__main__':`" in done.stderr.splitlines()[-1]
    assert "freeze_support" not in done.stderr

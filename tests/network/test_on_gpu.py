"""The script that checks a GPU against the CPU runs, and tells when something is wrong."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

pytestmark = pytest.mark.slow

_FILE = Path(__file__).parents[2] / "benchmarks" / "on_gpu.py"
torch.set_num_threads(1)


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("on_gpu", _FILE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def run(script, *only, device="cpu"):
    arguments = ["--device", device, "--quick", *(f"--only={name}" for name in only)]
    return CliRunner().invoke(script.main, arguments)


def test_what_needs_no_other_process_holds_on_the_cpu(script):
    done = run(script, "inference", "training", "memory", "speed")
    assert done.exit_code == 0, done.output
    assert "14 of 14 checks hold" in done.output
    rates = [float(rate) for rate in re.findall(r"([\d.]+) (?:pairs|crops)/s", done.output)]
    assert len(rates) > 4
    assert min(rates) > 0


def test_a_flow_that_is_off_by_a_thousandth_on_the_device_is_told(script, monkeypatch):
    def off(*arguments, **settings):
        flow, sd = predict(*arguments, **settings)
        return (1.001 if "device" in settings else 1.0) * flow, sd

    predict = script.predict
    monkeypatch.setattr(script, "predict", off)
    done = run(script, "inference", "memory")
    assert done.exit_code == 1
    assert re.search(
        r"\| flow, views 4, .* \| 0.00\d+ \| at most 0.0001 \| \*\*no\*\* \|", done.output
    )
    assert re.search(r"\| sd, views 4, .* \| 0 \| at most 0.0001 \| yes \|", done.output)


def test_a_check_that_breaks_off_is_told_and_the_others_go_on(script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "flow", lambda *_: 1 / 0)
    page = tmp_path / "page.md"
    arguments = ["--device=cpu", "--quick", "--only=speed", "--only=memory", f"--page={page}"]
    done = CliRunner().invoke(script.main, arguments)
    assert done.exit_code == 1
    assert "| broke off | ZeroDivisionError: division by zero |  | **no** |" in page.read_text()
    assert "## Memory" in page.read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(script):
    done = run(script, "inference", device="cuda")
    assert done.exit_code == 1
    assert "PyTorch finds 0 CUDA GPUs here" in done.output

"""The network on a GPU beside the same on the CPU: flow, training, resuming, memory and speed.

    python benchmarks/on_gpu.py --page docs/gpu.md      # with a GPU; a few minutes
    python benchmarks/on_gpu.py --device cpu --quick    # tries the script itself, anywhere

It prints each figure as it is found, then the page, and ends with exit code 1 where a check fails.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from uemdask.errors import UemError
from uemdask.network import (
    BASE_MODEL,
    Job,
    Series,
    SeriesSource,
    TrainingConfig,
    TrainingResult,
    UNet,
    choose_device,
    load_model,
    predict,
    train,
)
from uemdask.network.checkpoint import load_checkpoint
from uemdask.network.device import data_device
from uemdask.network.processes import _start as start_process
from uemdask.network.training_job import do_job, write_job
from uemdask.simulate import scenario, simulate
from uemdask.stages.flow import FlowParameters
from uemdask.stages.simulated_series import simulated_series
from uemdask.version import __version__

# Largest difference to the CPU of a flow. On a CPU, float64 differs by 2e-6 from float32; inputs
# and weights of all convolutions cut to TF32 change it by 1e-3; autocast to float16 by 1e-3, to
# bfloat16 by 2e-2.
FLOAT32, TF32 = 1e-4, 5e-3
HALF = {"float16": 1e-2, "bfloat16": 1e-1}
# Of losses and weights after the first steps of a training; on a CPU, rounding changes them by 1e-6
# and 2e-4, convolutions cut to TF32 by 1e-3 and 6e-2.
STEPS, STEPS_TF32 = (1e-4, 1e-2), (1e-2, 3e-1)
# Of weights after a training that was killed: on a GPU sums have no fixed order. Rounding makes
# 1e-3, a step that was done twice 1e-1.
RESUMED = {"cpu": 0.0, "cuda": 3e-2}
RATE = 1e-4  # of trainings that are compared: with a high one rounding grows from step to step

DEFAULT_VIEWS = FlowParameters().views
PATIENCE = 120.0  # s that a process may take


@dataclass(frozen=True)
class Size:
    """How much is done."""

    frame: int = 256  # px, of the simulated series
    tiled: tuple[int, int] = (1024, 256)  # px, frame and tiles
    steps: tuple[int, int] = (6, 3)  # that are compared, of both phases
    batches: tuple[int, ...] = (12, 24, 48, 96, 192)
    timed: int = 40  # steps of each phase
    crop: int = 128  # px
    killed: int = 60  # steps of the training that is killed
    sides: tuple[int, ...] = (512, 1024, 2048)  # px
    repeats: int = 10
    product: int = 8192  # side of the matrices
    copied: int = 2**30  # bytes


QUICK = Size(96, (384, 96), (2, 2), (2,), 2, 32, 24, (128,), 2, 256, 2**22)


@dataclass(frozen=True)
class Bench:
    """What is looked at."""

    device: torch.device
    size: Size
    series: Series

    @property
    def gpu(self) -> bool:
        """Whether this is a GPU."""
        return self.device.type == "cuda"

    def model(self) -> UNet:
        """Return the base model anew; `predict` moves the one that it is given."""
        return load_model(BASE_MODEL)[0]

    def pair(self, side: int) -> dict[str, Any]:
        """Return one pair with the wave in it, frames repeated to this side, for `predict`."""
        number = int(np.flatnonzero(self.series.confidence.any(axis=(1, 2)))[0])
        repeats = -(-side // self.size.frame)
        first, second = (
            np.tile(self.series.wave[[index[number]]], (1, repeats, repeats))[:, :side, :side]
            for index in (self.series.frame_from, self.series.frame_to)
        )
        return {"first": first, "second": second, "scale": self.series.scale}

    def source(self, device: torch.device) -> SeriesSource:
        """Return the series where a training on this device would hold it."""
        return SeriesSource([self.series], data_device(self.series.nbytes, device))

    def config(self, pretrain: int, finetune: int, **changes: Any) -> TrainingConfig:
        """Return the default settings, but so many steps."""
        settings: dict[str, Any] = {"crop": self.size.crop, "record_every": 1}
        settings |= {"pretrain_steps": pretrain, "finetune_steps": finetune}
        return TrainingConfig(**settings | changes)

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        getattr(torch, self.device.type).synchronize()

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the shortest time of some calls after the first, which chooses algorithms."""
        times = []
        work()
        for _ in range(self.size.repeats):
            self.wait()
            begun = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - begun)
        return min(times)


class Row(NamedTuple):
    """A figure, or a check with its limit."""

    what: str
    found: str
    limit: str = ""
    holds: bool | None = None


def at_most(what: str, found: float, limit: float) -> Row:
    return Row(what, f"{found:.2g}", f"at most {limit:g}", bool(found <= limit))


def true(what: str, found: object, expected: object) -> Row:
    return Row(what, str(found), str(expected), found == expected)


@contextmanager
def whole_float32() -> Iterator[None]:
    """Let convolutions use all bits of float32; GPUs that have TF32 use that unless told."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the root mean square of what is expected."""
    return float(np.abs(found - expected).max() / np.sqrt(np.mean(np.square(expected))))


def apart(found: UNet, expected: UNet, start: UNet) -> float:
    """Return the distance of two networks, relative to how far training moved one of them."""
    one, other, origin = (
        torch.cat([value.flatten().cpu() for value in model.state_dict().values()])
        for model in (found, expected, start)
    )
    return float((one - other).norm() / (other - origin).norm())


# ---- checks: each yields its rows


def inference(bench: Bench) -> Iterator[Row]:
    """Flow of the base model against the CPU."""
    pair, model = bench.pair(2 * bench.size.frame), bench.model()
    for views, samples in ((1, 0), (2, 0), (4, 0), (1, 2)):
        how: dict[str, Any] = {"views": views, "samples": samples}
        expected = predict(bench.model(), **pair, **how)
        with whole_float32():
            found = predict(model, **pair, **how, device=bench.device)
        seen = f"views {views}, dropout samples {samples}"
        yield at_most(f"flow, {seen}, whole float32", difference(found[0], expected[0]), FLOAT32)
        yield at_most(f"sd, {seen}, whole float32", difference(found[1], expected[1]), FLOAT32)
    expected = predict(bench.model(), **pair)
    usual = predict(model, **pair, device=bench.device)
    yield at_most(
        "flow, 1 view, float32 as PyTorch is set (TF32)", difference(usual[0], expected[0]), TF32
    )
    for precision, limit in HALF.items():
        if bench.gpu:
            half = predict(model, **pair, device=bench.device, precision=precision)
            yield at_most(f"flow, 1 view, {precision}", difference(half[0], expected[0]), limit)
    side, tile = bench.size.tiled
    frame = bench.pair(side)
    with whole_float32():
        whole, tiled = (
            predict(model, **frame, device=bench.device, tile=size)[0] for size in (side, tile)
        )
    yield at_most(f"flow of {side} px in tiles of {tile} px", difference(tiled, whole), FLOAT32)


def training(bench: Bench) -> Iterator[Row]:
    """Losses and weights of the first steps against the CPU, then rates."""
    size, start = bench.size, bench.model()
    config = bench.config(*size.steps, pretrain_rate=RATE, finetune_rate=RATE)

    def trained(device: torch.device) -> TrainingResult:
        return train(bench.source(device), config, device=device, start=start)

    expected = trained(torch.device("cpu"))
    with whole_float32():
        exact = trained(bench.device)
    for name, found, (losses, weights) in (
        ("whole float32", exact, STEPS),
        ("float32 as PyTorch is set (TF32)", trained(bench.device), STEPS_TF32),
    ):
        one, other = ([entry["loss"] for entry in r.history] for r in (found, expected))
        steps = f"{config.steps} steps, {name}"
        yield at_most(f"losses of {steps}", difference(np.array(one), np.array(other)), losses)
        yield at_most(f"weights after {steps}", apart(found.model, expected.model, start), weights)
    yield rates(bench, torch.device("cpu"), size.batches[0], 4)
    if bench.gpu:
        for batch in size.batches:
            yield rates(bench, bench.device, batch, size.timed)


def rates(bench: Bench, device: torch.device, batch: int, steps: int) -> Row:
    """Return what the history of a training says of its speed; the first half is not timed."""
    config = bench.config(steps, steps, batch=batch, record_every=steps // 2)
    history = train(bench.source(device), config, device=device, start=bench.model()).history
    labels, fine = (history[i]["images_per_second"] for i in (1, 3))
    return Row(
        f"training on {device}, {batch} crops of {config.crop} px a step",
        f"{labels:.0f} crops/s on labels, {fine:.0f} pairs/s without",
    )


def killed(bench: Bench) -> Iterator[Row]:
    """SIGKILL on a training in a process of its own, which is then started again."""
    steps, start = bench.size.killed, bench.model()
    job = Job(
        groups=[([bench.series], 1.0)],
        # A process of its own is given its GPU by number, as where there are several.
        devices=(torch.device("cuda", 0) if bench.gpu else bench.device,),
        threads=torch.get_num_threads(),
        config=bench.config(
            steps - steps // 4,
            steps // 4,
            pretrain_rate=RATE,
            finetune_rate=RATE,
            checkpoint_every=1e-9,
        ),
        start=start,
    )
    undisturbed = do_job(job, bench.device, lambda entry: None).model
    if bench.gpu:
        again = do_job(job, bench.device, lambda entry: None).model
        yield Row("weights of two undisturbed trainings", f"{apart(again, undisturbed, start):.2g}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "job"
        checkpoint = Path(name) / "checkpoint"
        write_job(folder, replace(job, checkpoint=checkpoint))
        first, code = trained_apart(folder, kill_at=steps // 2)
        yield true("exit code of the killed process", code, -signal.SIGKILL)
        left = load_checkpoint(checkpoint)["step"]
        yield Row("killed at step, checkpoint of step", f"{first[-1]}, {left} of {steps}")
        second, code = trained_apart(folder)
        yield true("exit code of the one that went on", code, 0)
        yield true("steps that it did", f"{second[0]} to {second[-1]}", f"{left + 1} to {steps}")
        moved = apart(load_model(folder / "model.pt")[0], undisturbed, start)
    limit = RESUMED[bench.device.type]
    yield at_most("weights, killed and resumed against undisturbed", moved, limit)


def trained_apart(folder: Path, kill_at: int | None = None) -> tuple[list[int], int]:
    """Train as uemdask does on several GPUs, here one process; return its steps and exit code."""
    meeting = folder / f"meeting-{time.monotonic_ns()}"
    steps: list[int] = []
    with start_process(folder, 0, meeting) as process:
        alarm = threading.Timer(PATIENCE, process.kill)
        alarm.start()
        assert process.stdout is not None
        for line in process.stdout:
            with suppress(json.JSONDecodeError):  # killed in the middle of a word
                step = json.loads(line).get("entry", {}).get("step")
                steps += [step] if step else []
                if step and step == kill_at:
                    process.kill()
        code = process.wait()
        alarm.cancel()
    if code not in (0, -signal.SIGKILL):
        click.echo((folder / "rank-0.log").read_text(encoding="utf-8"), err=True)
    return steps, code


def memory(bench: Bench) -> Iterator[Row]:
    """Largest GPU memory, of tensors and with what PyTorch keeps."""
    if not bench.gpu:
        yield Row("GPU memory", "needs a GPU")
        return
    side, config = bench.size.sides[-1], bench.config(4, 4)
    frames, source, model = bench.pair(side), bench.source(bench.device), bench.model()
    for what, work in (
        (f"inference, a pair of {side} px, 1 view", lambda: flow(bench, model, frames, 1)),
        (
            f"inference, a pair of {side} px, {DEFAULT_VIEWS} views",
            lambda: flow(bench, model, frames, DEFAULT_VIEWS),
        ),
        (
            f"training, {config.batch} crops of {config.crop} px a step, both phases",
            lambda: train(source, config, device=bench.device, start=bench.model()),
        ),
    ):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(bench.device)
        work()
        most = torch.cuda.max_memory_allocated(bench.device) / 2**20
        kept = torch.cuda.max_memory_reserved(bench.device) / 2**20
        yield Row(what, f"{most:.0f} MiB, reserved {kept:.0f} MiB")


def flow(bench: Bench, model: UNet, frames: dict[str, Any], views: int = 1) -> np.ndarray:
    return predict(model, **frames, views=views, device=bench.device)[0]


def speed(bench: Bench) -> Iterator[Row]:
    """Pairs a second, beside what arithmetic and memory of this device allow."""
    multiply, move = yield from peaks(bench)
    model = bench.model()
    for side in bench.size.sides:
        frames = bench.pair(side)
        # Counted in what is really done: with the margins of tiles.
        with FlopCounterMode(display=False) as counted, Traffic() as traffic:
            flow(bench, model, frames)
        flops, nbytes = counted.get_total_flops(), traffic.nbytes
        bound = max(flops / multiply, nbytes / move)
        images = torch.rand(1, 2, side, side, device=bench.device)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            alone = bench.seconds(lambda: model(images))  # noqa: B023
        yield Row(
            f"roofline of a pair of {side} px",
            f"{flops / 1e9:.2f} GFLOP, {nbytes / 1e9:.3f} GB, {flops / nbytes:.1f} FLOP/B: "
            f"at most {1 / bound:.0f} pairs/s "
            f"({'arithmetic' if flops / multiply > nbytes / move else 'memory'})",
        )
        yield Row(f"network alone on a whole frame of {side} px", f"{1 / alone:.1f} pairs/s")
        for views in (1, DEFAULT_VIEWS):
            found = bench.seconds(lambda: flow(bench, model, frames, views))  # noqa: B023
            yield Row(
                f"inference from and to host memory, {side} px, views {views}",
                f"{1 / found:.1f} pairs/s, {views * bound / found:.0%} of the roofline",
            )
        for precision in HALF if bench.gpu else ():
            found = bench.seconds(
                lambda: predict(model, **frames, device=bench.device, precision=precision)  # noqa: B023
            )
            yield Row(f"the same in {precision}, views 1", f"{1 / found:.1f} pairs/s")


class Traffic(TorchDispatchMode):
    """Bytes that operations read and write if each goes to memory for all of them: no caches."""

    nbytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            leaves = tree_leaves((args, kwargs, found))
            self.nbytes += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))
        return found


def peaks(bench: Bench) -> Generator[Row, None, tuple[float, float]]:
    """Yield what the device can do, and return FLOP/s of convolutions and B/s of its memory."""
    size, device = bench.size, bench.device
    if bench.gpu:
        card = torch.cuda.get_device_properties(device)
        # Single-precision cores of a multiprocessor, by generation (CUDA programming guide).
        cores = 64 if card.major == 7 or (card.major, card.minor) == (8, 0) else 128
        if hasattr(card, "clock_rate"):  # kHz; PyTorch 2.9 or later
            peak = card.multi_processor_count * cores * 2 * card.clock_rate * 1e3
            yield Row("stated peak, float32 without tensor cores", f"{peak / 1e12:.1f} TFLOP/s")
        if hasattr(card, "memory_bus_width"):  # bits; two transfers a clock
            peak = 2 * card.memory_clock_rate * 1e3 * card.memory_bus_width / 8
            yield Row("stated peak of its memory", f"{peak / 1e12:.2f} TB/s")
    before = torch.get_float32_matmul_precision()
    multiply = 0.0
    for name, precision in (("float32", "highest"), ("TF32", "high")):
        if name == "TF32" and not bench.gpu:
            continue
        torch.set_float32_matmul_precision(precision)
        matrix = torch.rand(size.product, size.product, device=device)
        multiply = 2 * size.product**3 / bench.seconds(lambda: matrix @ matrix)  # noqa: B023
        torch.set_float32_matmul_precision(before)
        yield Row(f"measured product of matrices, {name}", f"{multiply / 1e12:.2f} TFLOP/s")
    there, back = (torch.zeros(size.copied // 4, device=device) for _ in range(2))
    move = 2 * size.copied / bench.seconds(lambda: back.copy_(there))
    yield Row("measured copy on the device, read and written", f"{move / 1e12:.3f} TB/s")
    return multiply, move


#: What a worker of a GPU pool does first, and then sees; torch is there already, to be harsh.
PINNED = """
import json, os, sys, types
import torch
from uemdask.execution.cluster.own_gpu import dask_setup
from uemdask.network import choose_devices
dask_setup(types.SimpleNamespace(name=sys.argv[1]))
devices = [str(device) for device in choose_devices(images=64).devices]
gpus = range(torch.cuda.device_count())
print(json.dumps([devices, [str(torch.cuda.get_device_properties(i).uuid) for i in gpus]]))
"""


def pinning(bench: Bench) -> Iterator[Row]:
    """Workers of one job with `CUDA_VISIBLE_DEVICES`: each sees its own GPU alone."""
    count = torch.cuda.device_count() if bench.gpu else 0
    own = [str(torch.cuda.get_device_properties(i).uuid) for i in range(count)]
    for number in range(count):
        what = f"device and GPU of worker {number} of {count}"
        yield true(what, seen(f"gpu.0-{number}"), [["cuda"], [own[number]]])
    hidden = seen("gpu.0", CUDA_VISIBLE_DEVICES="-1")
    yield true("device and GPUs where none is visible", hidden, [["cpu"], []])


def seen(worker: str, **environment: str) -> Any:
    said = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", PINNED, worker],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=True,
    ).stdout
    return json.loads(said)


CHECKS = {check.__name__: check for check in (inference, training, killed, memory, speed, pinning)}


# ---- the page


def facts(device: torch.device, sentence: str) -> list[str]:
    """Return lines about this machine and its software."""
    lines = [
        f"{date.today()}, uemdask {__version__}, PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs, "
        f"{torch.get_num_threads()} threads. {sentence}"
    ]
    if device.type == "cuda":
        query = [shutil.which("nvidia-smi"), "--query-gpu=name,driver_version,memory.total"]
        smi = query[0] and subprocess.run(  # noqa: S603
            [*query, "--format=csv,noheader"], capture_output=True, text=True, check=False
        ).stdout.strip().replace("\n", "; ")
        lines += [f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}; {smi}."]
    return lines


def page(head: list[str], found: dict[str, list[Row]], seconds: float) -> str:
    rows = [row for part in found.values() for row in part]
    checks = [row.holds for row in rows if row.holds is not None]
    lines = [
        "# The network on a GPU",
        "",
        f"Made by `benchmarks/on_gpu.py` in {seconds:.0f} s: {sum(checks)} of {len(checks)} checks "
        "hold. Differences of flows and losses are the largest, relative to their root mean "
        "square; differences of trained weights are relative to how far the training moved them.",
        "",
        *head,
    ]
    for name, part in found.items():
        about = (CHECKS[name].__doc__ or "").strip()
        lines += ["", f"## {name.capitalize()}", "", about, ""]
        lines += ["| what | found | limit | holds |", "|---|---|---|---|"]
        lines += [
            f"| {row.what} | {row.found} | {row.limit} | {WORDS[row.holds]} |" for row in part
        ]
    return "\n".join(lines) + "\n"


WORDS = {None: "", True: "yes", False: "**no**"}


@click.command()
@click.option("--device", "wish", default="cuda", type=click.Choice(["cuda", "cpu"]))
@click.option("--quick", is_flag=True, help="As little as tries the script.")
@click.option("--only", multiple=True, type=click.Choice(list(CHECKS)), help="Only these checks.")
@click.option("--page", "path", type=click.Path(path_type=Path), help="File to write.")
@click.option("--minutes", default=8.0, help="No check is begun later than this.")
def main(wish: str, quick: bool, only: tuple[str, ...], path: Path | None, minutes: float) -> None:
    """Check the network on a GPU against the CPU, and measure it."""
    begun = time.monotonic()
    try:
        device, sentence = choose_device(wish)
    except UemError as error:
        raise click.ClickException(str(error)) from error
    size = QUICK if quick else Size()
    wave = scenario("plane", shape=(size.frame, size.frame), frames=24)
    series = simulated_series(
        simulate(wave),
        centre=wave.frequency,
        smoothing=2.0,
        window=1.0,
        directional="none",
        name="plane",
    )
    bench, found = Bench(device, size, series), {}
    for name in only or CHECKS:
        part = found[name] = []
        try:
            if time.monotonic() - begun > 60 * minutes:
                raise TimeoutError(f"not begun, {minutes:g} minutes are over")
            for row in CHECKS[name](bench):
                part.append(row)
                click.echo(
                    f"{time.monotonic() - begun:5.0f} s  {name}: {' | '.join(map(str, row))}"
                )
        except Exception as error:  # the other checks go on: the machine is lent for minutes
            traceback.print_exc()
            part.append(Row("broke off", f"{type(error).__name__}: {error}", "", False))
    text = page(facts(device, sentence), found, time.monotonic() - begun)
    if path:
        path.write_text(text, encoding="utf-8")
    else:
        click.echo(text)
    if any(row.holds is False for part in found.values() for row in part):
        sys.exit(1)


if __name__ == "__main__":
    main()

"""What a training learns from and is judged by: labelled runs and their twins, as memory allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from uemdask.cube import Run
from uemdask.cube.blocks import Place
from uemdask.cube.layout import FIELD, FRAMES, PAIRS, TILE, Region, regions
from uemdask.errors import UemError
from uemdask.network import Crops, Series, SeriesSource, TrainingConfig
from uemdask.spectrum.grid import Grid
from uemdask.stages.spectrum import binning_of
from uemdask.stages.twin import twin_series

_Part = TypeVar("_Part")

_BYTES_PER_PIXEL = 7  # of a frame: half-precision wave and label, one byte of confidence
_BLOCK = TILE  # edge of the parts of a run that does not fit, squares of its grid
_TWINS = 4  # runs at most that get simulated twins
# Seeds of twins to learn from and of those that judge, whatever the seed of the training; the stage
# flow takes another.
_SEED_STEP, _LEARN_SEED, _JUDGE_SEED = 10_000, 0, 5_000
_HELD_OUT_CROPS = 24


def training_groups(
    runs: list[Run], *, seed: int, exact_share: float, memory: float
) -> list[tuple[list[Series], float]]:
    """Return what is learned from, and the shares of it: labelled runs and their twins.

    Parameters
    ----------
    runs : list of Run
        Labelled runs with relevant pixels.
    seed : int
        Of the training.
    exact_share : float
        Share of the twins.
    memory : float
        Bytes that the runs may take; of larger ones evenly spread blocks are taken.
    """
    twins = _twins(runs, seed * _SEED_STEP + _LEARN_SEED, even=True)
    real = _load(runs, memory)
    if not twins or not exact_share:
        return [(real, 1.0)]
    return [(real, 1 - exact_share), (twins, exact_share)]


def held_out_crops(runs: list[Run], training: TrainingConfig) -> Crops | None:
    """Return crops of simulated twins of some runs, None where no run can be simulated."""
    seed = training.seed * _SEED_STEP + _JUDGE_SEED
    twins = _twins(runs, seed) if training.finetune_steps else []
    if not twins:
        return None
    rng = np.random.default_rng([training.seed, _TWINS])
    return SeriesSource(twins).draw(rng, _HELD_OUT_CROPS, crop=128, length=1)


def _twins(runs: list[Run], seed: int, *, even: bool = False) -> list[Series]:
    """Return simulated twins of some runs; none for those that cannot be simulated."""
    twins = []
    for number, run in enumerate(_spread(runs, _TWINS)):
        try:
            twins.append(twin_series(run, seed=seed + number, even=even))
        except UemError:
            continue
    return twins


def _load(runs: list[Run], memory: float) -> list[Series]:
    """Load runs, or as many evenly spread blocks of them as `memory` bytes hold."""
    longest = max(run.sizes["time"] for run in runs)
    most = max(1, int(memory // (longest * _BLOCK**2 * _BYTES_PER_PIXEL)))
    if sum(_bytes(run) for run in runs) > memory:
        runs = _spread(runs, most)
    share = memory / len(runs)
    return [_block(run, region) for run in runs for region in _parts(run, share)]


def _bytes(run: Run) -> int:
    sizes = run.sizes
    return sizes["time"] * sizes["y"] * sizes["x"] * _BYTES_PER_PIXEL // binning_of(run) ** 2


def _spread(parts: list[_Part], count: int) -> list[_Part]:
    """Return at most `count` of the parts, evenly spread."""
    places = np.linspace(0, len(parts) - 1, min(count, len(parts)))
    return [parts[int(place)] for place in places]


def _parts(run: Run, share: float) -> list[Region]:
    """Return the whole run where `share` bytes hold it, else blocks with relevant pixels."""
    sizes, mask = run.sizes, run.read("mask")
    edge = _BLOCK * binning_of(run)
    if _bytes(run) <= share:
        return [Region((("y", 0, sizes["y"]), ("x", 0, sizes["x"])))]
    blocks = [
        region
        for region in regions(sizes, y=edge, x=edge)
        if mask[region.slices(("y", "x"), sizes)].any()
    ]
    # A sliver at the edge would make all crops as small as itself.
    least = min(edge, sizes["y"], sizes["x"])
    full = [block for block in blocks if min(b - a for _, a, b in block.bounds) >= least]
    fitting = int(share // (sizes["time"] * _BLOCK**2 * _BYTES_PER_PIXEL))
    return _spread(full or blocks, max(1, fitting))


def _block(run: Run, region: Region) -> Series:
    """Return a part of a run on its natural grid; displacements are in squares."""
    sizes = run.sizes
    grid = Grid(Place.of(region, sizes), binning_of(run))
    wave = np.empty((sizes["time"], *grid.shape), np.float16)
    label = np.empty((sizes["pair"], 2, *grid.shape), np.float16)
    confidence = np.empty((sizes["pair"], *grid.shape), np.uint8)
    mask = np.empty(grid.shape, bool)
    # Slab by slab, field by field: on pixels, in single precision, it is many times what is kept.
    for field in _fields(region, sizes):
        rows, columns = (slice(*field.span(dim, 0)) for dim in ("y", "x"))
        at = grid.squares(rows, columns)

        def on_grid(
            images: np.ndarray, rows: slice = rows, columns: slice = columns, **how: bool
        ) -> np.ndarray:
            flat = images.reshape(-1, *images.shape[-2:]).astype(np.float32, copy=False)
            squares = grid.bin(flat, rows, columns, **how)
            return squares.reshape(*images.shape[:-2], *squares.shape[1:])

        mask[at] = on_grid(run.read("mask", field), of_wave=False) > 0.5
        for slab in regions(sizes, time=FRAMES):
            part = Region(slab.bounds + field.bounds)
            wave[slice(*slab.span("time", 0)), *at] = on_grid(run.read("wave", part))
        for slab in regions(sizes, pair=PAIRS):
            part, pairs = Region(slab.bounds + field.bounds), slice(*slab.span("pair", 0))
            trust = run.read_stored("label_confidence", part)
            mean = on_grid(trust, of_wave=False)
            confidence[pairs, *at] = np.rint(mean)
            # What nobody trusts says nothing of the rest of a square.
            weighted = on_grid(run.read("label", part) * trust[:, None], of_wave=False)
            label[pairs, :, *at] = weighted / np.maximum(mean[:, None], 1) / grid.binning
    return Series(
        wave=wave,
        scale=run.results("spectrum").wave_scale,
        label=label,
        confidence=confidence,
        mask=mask,
        frame_from=run.read("frame_from"),
        frame_to=run.read("frame_to"),
        name=run.name,
    )


def _fields(region: Region, sizes: Mapping[str, int]) -> list[Region]:
    """Cut a part of the frame into fields; they begin where squares do."""
    (top, bottom), (left, right) = (region.span(dim, sizes[dim]) for dim in ("y", "x"))
    return [
        Region((("y", y, min(y + FIELD, bottom)), ("x", x, min(x + FIELD, right))))
        for y in range(top, bottom, FIELD)
        for x in range(left, right, FIELD)
    ]

"""How fast frames come into a cube, beside a bare loop that reads, decodes and compresses them.

    python benchmarks/ingest.py [--size 1024] [--frames 64] [--scans 1] [--compression none]

Ingests TIFF files through the driver on a local Dask cluster that is up already. Then the same
files are read, decoded and compressed (same codec, same chunks) in a loop without Dask and checks,
on as many processes as the cluster has workers: once without writing anything, once with the
compressed chunks written to one plain file for each slab. All are done several times in turn; the
ratios are those of the best of each. CPU times say more than rates on a machine that others use.
With several scans the loop reads them all, averages plainly and compresses the average. Memory is
the most that a worker has held, all libraries included.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile
from numcodecs import Blosc, blosc

from uemdask.cube.layout import FRAMES, TILE
from uemdask.execution import Driver, open_cluster, plan_ingest, read_profile
from uemdask.simulate import scenario, simulate
from uemdask.stages.ingest import IngestParameters


def write_frames(folder: Path, size: int, frames: int, scans: int, compression: str | None) -> None:
    """Write noisy frames, no two alike, with delay and scan in their names."""
    folder.mkdir()
    tile = simulate(scenario("plane", shape=(256, 256), frames=8))
    repeats = -(-size // 256)
    expected = np.tile(tile.expected(2), (repeats, repeats))[:size, :size]
    random = np.random.default_rng(0)
    noise = [random.poisson(expected).astype(np.uint16) for _ in range(4)]
    for scan in range(scans):
        for i in range(frames):
            image = (
                np.roll(noise[(i + scan) % 4], i + 64 * scan, axis=1)
                if scans == 1
                else (noise[(i + scan) % 4])
            )
            name = f"run_{scan}_{i + 1}_{i - 10}ps.tif"
            tifffile.imwrite(folder / name, image, compression=compression)


#: Room for a slab, kept between slabs: a bare loop at its best pays for no fresh memory.
_room: list[np.ndarray] = []


def prepare(shape: tuple[int, int], dtype: str) -> None:
    blosc.set_nthreads(1)
    _room.append(np.ones((FRAMES, *shape), dtype))


def bare_slab(slab: list[list[Path]], out: Path | None = None) -> float:
    """Read, decode and compress some delays, and write the result; return the CPU seconds."""
    begun = time.process_time()
    codec = Blosc("lz4", clevel=1, shuffle=Blosc.BITSHUFFLE)
    (stack,) = _room
    for row, files in enumerate(slab):
        images = [tifffile.imread(file) for file in files]
        if len(images) == 1:
            stack[row] = images[0]
        else:
            total = images[0].astype(np.float64)
            for image in images[1:]:
                total += image
            stack[row] = total / len(images)
    stack = stack[: len(slab)]
    coded = []
    for y in range(0, stack.shape[1], TILE):
        for x in range(0, stack.shape[2], TILE):
            chunk = np.ascontiguousarray(stack[:, y : y + TILE, x : x + TILE])
            coded.append(codec.encode(chunk))
    if out is not None:
        with out.open("wb") as file:
            file.writelines(coded)
    return time.process_time() - begun


def held() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="edge of the frames, px")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--scans", type=int, default=1)
    parser.add_argument("--compression", choices=["none", "lzw", "zlib"], default="none")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    options = parser.parse_args()
    coding = None if options.compression == "none" else options.compression
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        raw, store = folder / "raw", folder / "run.zarr"
        write_frames(raw, options.size, options.frames, options.scans, coding)
        files = [
            [next(raw.glob(f"run_{scan}_{i + 1}_*.tif")) for scan in range(options.scans)]
            for i in range(options.frames)
        ]
        slabs = [files[i : i + FRAMES] for i in range(0, len(files), FRAMES)]
        plan = plan_ingest({store: IngestParameters(raw=str(raw), pixel_size="3nm")})
        # As the cluster does for its workers: freed memory is kept, and not faulted in again.
        os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**30)
        kind = (options.size, options.size), "uint16" if options.scans == 1 else "float32"
        ours, bare, written = [], [], []
        with open_cluster(read_profile(None)) as cluster:
            workers, client = int(cluster.slots), cluster.client
            context = get_context("spawn")
            with ProcessPoolExecutor(workers, context, prepare, kind) as pool:
                list(pool.map(bare_slab, slabs[:workers]))  # imports
                for _ in range(options.repeat):
                    shutil.rmtree(store, ignore_errors=True)
                    before = sum(client.run(time.process_time).values()) + time.process_time()
                    begun = time.perf_counter()
                    outcome = Driver(plan, cluster, only=("ingest",)).run()
                    wall = time.perf_counter() - begun
                    after = sum(client.run(time.process_time).values()) + time.process_time()
                    ours.append((wall, after - before))
                    assert not outcome.failed, outcome.failed
                    begun = time.perf_counter()
                    cpu = sum(pool.map(bare_slab, slabs))
                    bare.append((time.perf_counter() - begun, cpu))
                    outs = [folder / f"slab_{i}" for i in range(len(slabs))]
                    begun = time.perf_counter()
                    cpu = sum(pool.map(bare_slab, slabs, outs))
                    written.append((time.perf_counter() - begun, cpu))
                    for out in outs:
                        out.unlink()
            memory = max(client.run(held).values())
        volume = options.frames * options.scans * options.size**2 * 2 / 2**20
    print(
        f"{options.frames} frames of {options.size} x {options.size} px, {options.scans} scans, "
        f"{options.compression} compression, {workers} workers: {volume:.0f} MiB raw"
    )
    for what, times in (("ingest", ours), ("bare loop", bare), ("and written", written)):
        shown = ", ".join(f"{wall:.2f} ({cpu:.2f} CPU)" for wall, cpu in times)
        print(f"{what:>11}: {shown} s; best {volume / min(times)[0]:.0f} MiB/s")
    for what, times in (("bare loop", bare), ("loop that also writes", written)):
        rate = min(times)[0] / min(ours)[0]
        cpu = min(c for _, c in times) / min(c for _, c in ours)
        print(f"ingest to {what}: ratio of the rates {rate:.2f}, of the CPU times {cpu:.2f}")
    print(f"most memory of a worker: {memory:.2f} GiB")


if __name__ == "__main__":
    main()

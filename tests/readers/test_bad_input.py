"""Bad input: a plain sentence, exit code 2, nothing half made; as docs/bad_input.md has it."""

import csv
import os
import re
import resource
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from dm_files import write_dm

import uemdask.execution
from uemdask.cube import Run
from uemdask.cube.summary import describe_run
from uemdask.execution import Capacity, Cluster
from uemdask.stages.raw_frames import recorded_frames
from uemdask_cli.main import _run

PAGE = Path(__file__).parents[2] / "docs" / "bad_input.md"
SHAPE = (40, 48)
COUNT = 8
RESOLUTION = {"resolution": (1 / 3, 1 / 3), "metadata": {"axes": "YX", "unit": "nm"}}


def image(number=0, dtype=np.uint16):
    random = np.random.default_rng(number)
    x = np.arange(SHAPE[1])
    return random.poisson(200 + 100 * np.sin(x / 3), SHAPE).astype(dtype)


def write(file, number=0, **changes):
    data = changes.pop("data", None)
    data = image(number) if data is None else data
    grey = {"imagej": True, **RESOLUTION}
    tifffile.imwrite(file, data, **(grey | changes))


def write_table(raw, delays, files=None):
    files = files or [f"frame_{i}.tif" for i in range(len(delays))]
    with (raw / "delays.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "delay_ps"], *zip(files, delays, strict=True)])


@pytest.fixture
def raw(tmp_path):
    """Eight good frames."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for i in range(COUNT):
        write(raw / f"frame_{i}.tif", i)
    write_table(raw, [5.0 * i - 10 for i in range(COUNT)])
    return raw


@pytest.fixture
def ingest(raw, in_process, monkeypatch, capsys, tmp_path):
    """Return a function that gives the command in this process, and what it said."""

    @contextmanager
    def open_cluster(profile):
        yield Cluster(client=in_process(), dashboard="", cpu=Capacity(slots=0.5))

    monkeypatch.setattr(uemdask.execution, "open_cluster", open_cluster)

    def ingest(*options, folder=raw, store="run.zarr"):
        code = _run(["ingest", str(folder), "-o", str(tmp_path / store), *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return ingest


def in_words(text, tmp_path):
    return text.replace(f"{tmp_path}/", "").strip().removeprefix("uemdask: ")


# ---- what is refused


def truncated(raw):
    file = raw / "frame_3.tif"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def dm_series(raw):
    for file in raw.glob("frame_*.tif"):
        file.unlink()
    for i in range(COUNT):
        write_dm(raw / f"frame_{i}.dm4", image(i), version=4, pixel_size=3.0)
    write_table(raw, list(range(COUNT)), [f"frame_{i}.dm4" for i in range(COUNT)])


def truncated_dm4(raw):
    dm_series(raw)
    file = raw / "frame_3.dm4"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def spectrum(raw):
    dm_series(raw)
    write_dm(raw / "frame_3.dm4", np.arange(64, dtype=np.float32), version=4, unit="eV")


def empty(raw):
    (raw / "frame_3.tif").write_bytes(b"")


def colour(raw):
    data = np.zeros((*SHAPE, 3), np.uint8)
    tifffile.imwrite(raw / "frame_3.tif", data, photometric="rgb")


def other_shape(raw):
    write(raw / "frame_3.tif", data=image()[:20])


def other_dtype(raw):
    write(raw / "frame_3.tif", data=image(dtype=np.float32))


def no_pixel_size(raw):
    for i in range(COUNT):
        tifffile.imwrite(raw / f"frame_{i}.tif", image(i))


def no_delays(raw):
    (raw / "delays.csv").unlink()


def nan_delay(raw):
    write_table(raw, [*range(COUNT - 1), "nan"])


def missing_delay(raw):
    write_table(raw, [*range(COUNT - 1), ""])


def too_few_delays(raw):
    write_table(raw, range(COUNT - 1))


def file_in_table_alone(raw):
    files = [f"frame_{i}.tif" for i in range(COUNT)]
    write_table(raw, range(COUNT + 1), [*files[:4], "frame_x.tif", *files[4:]])


def two_readings(raw):
    delays = ["1,000", "2,000", "500", "1,500", "250", "750", "0", "1,250"]
    rows = [f"frame_{i}.tif;{delay}" for i, delay in enumerate(delays)]
    (raw / "delays.csv").write_text("\n".join(["file;delay (fs)", *rows]))


def decimals_cut(raw):
    rows = [f"frame_{i}.tif,{i},5" for i in range(COUNT)]
    (raw / "delays.csv").write_text("\n".join(["file,delay_ps", *rows[:2]]))


def decimals_cut_without_head(raw):
    rows = [f"frame_{i}.tif,{i},5" for i in range(COUNT)]
    (raw / "delays.csv").write_text("\n".join(rows))


def numbers_in_another_order(raw):
    (raw / "delays.csv").unlink()
    for i in range(COUNT):
        (raw / f"frame_{i}.tif").rename(raw / f"shot_{i}_{(3 * i) % COUNT - 4:+d}.tif")


def no_delays_and_no_pixel_size(raw):
    no_delays(raw)
    no_pixel_size(raw)


def is_a_folder(raw):
    (raw / "frame_3.tif").unlink()
    (raw / "frame_3.tif").mkdir()


def two_frames(raw):
    for i in range(2, COUNT):
        (raw / f"frame_{i}.tif").unlink()
    write_table(raw, [-5, 5])


def several_formats(raw):
    np.save(raw / "mean.npy", image())


def several(raw):
    empty(raw)
    (raw / "frame_5.tif").write_bytes(b"no TIFF at all")
    write(raw / "frame_6.tif", data=image()[:20])


def truncated_twice(raw):
    for i in (2, 6):
        file = raw / f"frame_{i}.tif"
        file.write_bytes(file.read_bytes()[:-500])


def all_blank(raw):
    for i in range(COUNT):
        write(raw / f"frame_{i}.tif", data=np.zeros(SHAPE, np.uint16))


def other_dark(raw):
    write(raw / "dark.tif", data=image()[:20])


def foreign(raw):
    for file in raw.glob("frame_*.tif"):
        file.rename(file.with_suffix(".jpg"))


def run_there(raw):
    from uemdask.cube import create_run

    run = create_run(
        raw.parent / "run.zarr",
        delays=np.arange(3.0),
        shape=SHAPE,
        dtype="uint16",
        pixel_size=(3.0, 3.0),
        source_file=["a", "b", "c"],
    )
    run.finish("ingest")


def not_a_run(raw):
    (raw.parent / "run.zarr").mkdir()
    (raw.parent / "run.zarr" / "mine.txt").write_text("mine")


def as_hdf5(raw, **datasets):
    for file in raw.glob("frame_*.tif"):
        file.unlink()
    with h5py.File(raw / "series.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return h5py.File(raw / "series.h5", "a")


def axis_of_time(raw):
    with as_hdf5(raw, frames=np.stack([image(i) for i in range(COUNT)])) as file:
        file.attrs["signal"], file.attrs["axes"] = "frames", ["frame", "y", "x"]
        file["x"] = np.arange(SHAPE[1]) * 5.0
        file["x"].attrs["units"] = "ps"


def axes_not_told(raw):
    with as_hdf5(raw, frames=np.stack([image(i) for i in range(COUNT)])) as file:
        file.attrs["signal"], file.attrs["axes"] = "frames", ["delay", "z", "x"]


def values_elsewhere(raw):
    with as_hdf5(raw) as file:
        file["frames"] = h5py.ExternalLink("/elsewhere/secret.h5", "/frames")


def default_in_a_circle(raw):
    with as_hdf5(raw, frames=np.stack([image(i) for i in range(COUNT)])) as file:
        file.attrs["default"] = "."


def white_as_zero(raw):
    tifffile.imwrite(raw / "frame_3.tif", image(), photometric="miniswhite")


def a_pipe(raw):
    (raw / "frame_3.tif").unlink()
    os.mkfifo(raw / "frame_3.tif")


def a_pipe_as_table(raw):
    (raw / "delays.csv").unlink()
    os.mkfifo(raw / "delays.csv")


def multiplying(raw):
    lines = ["a: &a [" + ", ".join("x" * 9) + "]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefgh")]
    (raw / "metadata.yaml").write_text("\n".join(lines))


def zero_mean(raw):
    for i in range(COUNT):
        data = image(i, np.float32)
        write(raw / f"frame_{i}.tif", data=data - data.mean())


def below_zero(raw):
    for i in range(COUNT):
        write(raw / f"frame_{i}.tif", data=image(i, np.float32) - 900)


def absurd_size(raw):
    tifffile.imwrite(raw / "frame_3.tif", image(), compression="zlib", metadata=None)
    with tifffile.TiffFile(raw / "frame_3.tif", mode="r+b") as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages[0].tags[name].overwrite(60_000, dtype="I")


def unequal_bursts(raw):
    for i in range(COUNT):
        burst = np.stack([image(i)] * (3 if i == 5 else 2))
        write(raw / f"frame_{i}.tif", data=burst, metadata={"axes": "TYX", "unit": "nm"})


CASES = {
    "a truncated TIFF": (truncated, ()),
    "a truncated DM4": (truncated_dm4, ()),
    "a file of no bytes": (empty, ()),
    "a spectrum among images": (spectrum, ()),
    "a colour image": (colour, ()),
    "a frame of another shape": (other_shape, ()),
    "a frame of another dtype": (other_dtype, ()),
    "a folder with the name of an image": (is_a_folder, ()),
    "frames of several formats": (several_formats, ()),
    "several bad files": (several, ()),
    "several truncated files": (truncated_twice, ()),
    "no pixel size": (no_pixel_size, ()),
    "a pixel size that is none": (lambda raw: None, ("--pixel-size", "0nm")),
    "a pixel size with two readings": (lambda raw: None, ("--pixel-size", "2,5nm")),
    "no delays": (no_delays, ()),
    "no delays and no pixel size": (no_delays_and_no_pixel_size, ()),
    "a delay that is NaN": (nan_delay, ()),
    "a delay that is not there": (missing_delay, ()),
    "delays with two readings": (two_readings, ()),
    "decimals cut in two": (decimals_cut, ()),
    "decimals cut in two, without a head": (decimals_cut_without_head, ()),
    "a time zero with two readings": (lambda raw: None, ("--time-zero", "1,250 fs")),
    "numbers in names that do not rise with a plan": (
        numbers_in_another_order,
        ("--delays", "-4:3:1 ps"),
    ),
    "fewer delays than frames, by name": (too_few_delays, ()),
    "fewer delays than frames, in order": (lambda raw: None, ("--delays", "0:6:1 ps")),
    "a table that names a file too many": (file_in_table_alone, ()),
    "a table that is not there": (lambda raw: None, ("--delays", "gone.csv")),
    "two frames only": (two_frames, ()),
    "frames that are all blank": (all_blank, ()),
    "a dark image of another shape": (other_dark, ()),
    "a dark image that is not there": (lambda raw: None, ("--dark", "gone.tif")),
    "a pattern of dark images that names all": (lambda raw: None, ("--dark", "*.tif")),
    "no images that can be read": (foreign, ()),
    "an axis of time where x should be": (axis_of_time, ("--pixel-size", "3nm")),
    "axes that cannot be told": (axes_not_told, ("--pixel-size", "3nm")),
    "frames that lie in another file": (values_elsewhere, ()),
    "a default that leads in a circle": (default_in_a_circle, ()),
    "white stored as 0": (white_as_zero, ()),
    "a pipe among the frames": (a_pipe, ()),
    "a pipe in the place of a table": (a_pipe_as_table, ()),
    "metadata that multiply": (multiplying, ()),
    "frames around zero": (zero_mean, ()),
    "frames below zero": (below_zero, ()),
    "dark images and an offset": (lambda raw: write(raw / "dark.tif"), ("--offset", "100")),
    "an offset that is none": (lambda raw: None, ("--offset", "3nm")),
    "a size that no camera has": (absurd_size, ()),
    "bursts of unequal length": (unequal_bursts, ()),
    "a run that is there": (run_there, ()),
    "an output that is no run": (not_a_run, ()),
}


def documented():
    """Return the message of each case as the page has it."""
    rows = re.findall(r"^### (.+?)\n\n```\n(.*?)\n```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_in_plain_words(case, raw, ingest, tmp_path):
    spoil, options = CASES[case]
    spoil(raw)
    before = sorted(tmp_path.rglob("*"))
    code, _, err = ingest(*options)
    assert code == 2
    assert "Traceback" not in err
    assert in_words(err, tmp_path) == documented()[case]
    after = sorted(tmp_path.rglob("*"))
    assert after == before  # no half store, no ledger


def test_a_failed_ingest_leaves_no_folder_and_takes_none_of_others(raw, ingest, tmp_path):
    truncated(raw)
    (tmp_path / "mine").mkdir()
    assert ingest(store="new/deep/run.zarr")[0] == 2
    assert ingest(store="mine/run.zarr")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "raw"]
    assert ingest("--debug", store="new/run.zarr")[0] == 2
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run.ledger.jsonl"]


def test_the_page_has_every_case_and_no_other():
    assert set(documented()) == set(CASES) | {"a full disk"}


def test_a_dry_run_refuses_what_a_real_run_refuses(raw, ingest, tmp_path):
    run_there(raw)
    code, out, err = ingest("--dry-run")
    assert code == 2
    assert "frame_3.tif,0,1,5" in out.splitlines()
    assert in_words(err, tmp_path) == documented()["a run that is there"]
    assert ingest("--dry-run", "--overwrite")[0] == 0
    several(raw)
    code, _, err = ingest("--dry-run", store="other.zarr")
    assert code == 2
    assert in_words(err, tmp_path) == documented()["several bad files"]


def test_a_full_disk_is_said_and_leaves_nothing(raw, ingest, tmp_path):
    # The system itself refuses to let files grow: no mount and no rights are needed for that.
    noise = np.random.default_rng(0).integers(0, 65535, (256, 256)).astype(np.uint16)
    for i in range(COUNT):
        write(raw / f"frame_{i}.tif", data=noise + i)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        code, _, err = ingest()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert in_words(err, tmp_path) == documented()["a full disk"]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert ingest()[0] == 0  # and with room it works


# ---- what is not refused


def test_blanks_and_umlauts_in_names_work(raw, ingest, tmp_path):
    folder = raw.rename(tmp_path / "Messung 3 – Größe")
    for i in range(COUNT):
        (folder / f"frame_{i}.tif").rename(folder / f"Bild ü {i}.tif")
    write_table(folder, range(COUNT), [f"Bild ü {i}.tif" for i in range(COUNT)])
    code, out, _ = ingest(folder=folder, store="Läufe größer/ein Lauf.zarr")
    assert code == 0
    run = Run(tmp_path / "Läufe größer" / "ein Lauf.zarr")
    assert run.read("source_file")[2] == "Bild ü 2.tif"
    assert "next: uemdask run '" in out


def test_pixels_that_are_not_finite(raw, ingest, tmp_path):
    for i in range(COUNT):
        data = image(i, np.float32)
        if i == 2:
            data[3, 4], data[5, 6] = np.nan, np.inf
        if i == 4:
            data[:20] = np.nan  # the margin of a frame that was moved elsewhere
        if i == 5:
            data[:32] = np.nan
        write(raw / f"frame_{i}.tif", data=data)
    code, out, _ = ingest()
    assert code == 0
    run = Run(tmp_path / "run.zarr")
    flags = run.read("frame_flag").tolist()
    assert [i for i, flag in enumerate(flags) if flag] == [5]
    assert flags[5] == "NaN or infinite: 80% of the pixels"
    assert "2 frames lack pixels (NaN or infinite): 7.2 % of all, at most 50 % of a frame" in out
    assert np.isnan(run.read("intensity")[2][3, 4])  # as recorded


def test_the_counts_of_some_frames_are_told(raw, ingest, tmp_path):
    means = ", ".join(f"{image(i).mean():.4g}" for i in (0, COUNT // 2, COUNT - 1))
    line = f"counts: mean {means} of the first, middle and last frame"
    assert line in ingest("--dry-run")[1].splitlines()
    assert line in ingest()[1].splitlines()
    assert line.replace("counts: ", "counts    ") in describe_run(tmp_path / "run.zarr")


def test_equal_frames_in_a_row_are_told(raw, ingest, tmp_path):
    for i in (3, 4):
        write(raw / f"frame_{i}.tif", 2)
    code, out, _ = ingest()
    assert code == 0
    assert (
        "note: 2 frames are equal to the frame before them to the last count (5, 10 ps): a copy, "
        "or an image that the camera gave twice"
    ) in out
    write(raw / "frame_4.tif", 0)
    write(raw / "frame_7.tif", 0)
    _, out, _ = ingest("--dry-run", "--overwrite")
    assert "note: first, middle and last frame are equal to the last count; check the files" in out


@pytest.mark.parametrize("where", ["option", "metadata"])
def test_an_offset_is_taken_off_on_reading(raw, ingest, tmp_path, where):
    below_zero(raw)
    options = ("--offset", "-900") if where == "option" else ()
    if where == "metadata":
        (raw / "metadata.yaml").write_text("offset: -900")
    assert ingest(*options)[0] == 0
    run = Run(tmp_path / "run.zarr")
    # As recorded; who reads frames takes off what would be there without the beam.
    np.testing.assert_array_equal(run.read("intensity")[3], image(3, np.float32) - 900)
    assert run.group.attrs["offset"] == "-900 counts"
    assert np.unique(run.dark).tolist() == [-900]
    frame = recorded_frames(run, np.zeros(SHAPE, bool))(3)
    np.testing.assert_array_equal(frame, image(3, np.float32))


def test_a_burst_is_averaged(raw, ingest, tmp_path):
    for i in range(COUNT):
        burst = np.stack([image(10 * i + k) for k in range(3)])
        write(raw / f"frame_{i}.tif", data=burst, metadata={"axes": "TYX", "unit": "nm"})
    code, out, _ = ingest("--dry-run")
    assert code == 0
    assert "8 frames of 40 x 48 px from 24 images" in out
    assert "note: each file holds 3 images of one delay, which are averaged" in out
    first = np.mean([image(k) for k in range(3)])
    assert f"counts: mean {first:.4g}, " in out
    assert ingest()[0] == 0
    run = Run(tmp_path / "run.zarr")
    assert run.read("scan_count").tolist() == [3] * COUNT
    mean = np.mean([image(20 + k) for k in range(3)])
    assert run.read("intensity")[2].mean() == pytest.approx(mean, rel=0.01)


def test_a_delay_twice_is_two_repeats(raw, ingest, tmp_path):
    write_table(raw, [-10, -5, 0, 0, 5, 10, 15, 20])
    code, out, _ = ingest()
    assert code == 0
    assert "note: 0 ps stand more than once; their images are taken as repeats" in out
    assert "2 scans" not in out  # of one delay
    run = Run(tmp_path / "run.zarr")
    assert run.read("scan_count").tolist() == [1, 1, 2, 1, 1, 1, 1]
    assert run.read("source_file")[2] == "frame_2.tif + frame_3.tif"


def test_no_frame_before_time_zero_is_a_note(raw, ingest, tmp_path):
    code, out, _ = ingest("--time-zero", "-10ps")
    assert code == 0
    assert "note: no frame before time zero; the mean of all frames will serve" in out
    assert any(
        "before time zero" in note for note in Run(tmp_path / "run.zarr").group.attrs["notes"]
    )


def test_a_beam_that_was_off_is_flagged(raw, ingest, tmp_path):
    quiet = np.random.default_rng(5).poisson(3, SHAPE).astype(np.uint16)
    write(raw / "frame_3.tif", data=quiet)
    write(raw / "frame_5.tif", data=np.minimum(image(5) * 2, 350).astype(np.uint16))
    code, out, _ = ingest()
    assert code == 0
    flags = Run(tmp_path / "run.zarr").read("frame_flag").tolist()
    assert flags[3].startswith("outlier: 0.014 times as bright")
    assert re.fullmatch(r"saturated: \d+% of the pixels at 350 counts", flags[5])
    assert [bool(flag) for flag in flags] == [False, False, False, True, False, True, False, False]
    assert "8 frames, 2 flagged" in out


def write_scans(raw, scans):
    rows = [f"frame_{i}.tif,{i % 4},{scan}" for i, scan in enumerate(scans)]
    (raw / "delays.csv").write_text("\n".join(["file,delay_ps,scan", *rows]))


def test_a_dry_run_of_scans_apart_prints_the_table_of_each(raw, ingest, tmp_path):
    write_scans(raw, [1, 1, 1, 1, 2, 2, 2, 2])
    code, out, _ = ingest("--scans", "apart", "--dry-run")
    assert code == 0
    first, second = out.split(f"{tmp_path}/run_scan2.zarr: ")
    assert first.startswith(f"{tmp_path}/run_scan1.zarr: {raw}: 4 frames")
    for scan, text in enumerate((first, second), 1):
        table = text[text.index("file,image,scan,delay_ps") :].split()
        assert table[1:] == [f"frame_{4 * scan - 4 + i}.tif,0,{scan},{i}" for i in range(4)]
    assert "averaged" not in out
    assert not list(tmp_path.glob("*.zarr"))


def test_a_scan_that_is_too_short_does_not_stop_the_others(raw, ingest, tmp_path):
    write_scans(raw, [1, 1, 1, 1, 1, 1, 2, 2])
    code, _, err = ingest("--scans", "apart")
    assert code == 1
    assert in_words(err, tmp_path).startswith("raw: scan 2: 2 delays are too few for a series")
    assert [path.name for path in tmp_path.glob("*.zarr")] == ["run_scan1.zarr"]


def test_info_says_later_where_each_guess_is_from(raw, ingest, tmp_path):
    code, out, _ = ingest("--dry-run")
    assert code == 0
    told = [line for line in out.splitlines() if line.startswith("origin ")]
    assert told[:3] == [
        "origin    delays: from delays.csv, column 'delay_ps', 8 of 8",
        "origin    pixel: ImageJ tags",
        "origin    time zero: not given, 0 ps",
    ]
    assert ingest()[0] == 0
    lines = describe_run(tmp_path / "run.zarr").splitlines()
    assert [line for line in lines if line.startswith("origin ")] == told


def test_scans_apart_are_a_run_each(raw, ingest, tmp_path):
    write_scans(raw, [1, 1, 1, 1, 2, 2, 2, 2])
    code, out, _ = ingest("--scans", "apart")
    assert code == 0
    for scan in (1, 2):
        run = Run(tmp_path / f"run_scan{scan}.zarr")
        expected = [image(4 * (scan - 1) + i) for i in range(4)]
        np.testing.assert_array_equal(run.read("intensity"), expected)
    assert not (tmp_path / "run.zarr").exists()
    assert re.fullmatch(
        r"next: uemdask run \S+run_scan1.zarr \S+run_scan2.zarr", out.splitlines()[-1]
    )
    code, _, err = ingest("--scans", "apart")
    assert code == 2
    assert "run_scan1.zarr: is there already" in err
    assert "run_scan2.zarr: is there already" in err

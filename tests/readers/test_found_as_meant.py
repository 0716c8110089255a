"""Raw folders as file servers, spreadsheets and stopped scans leave them."""

import unicodedata
import zlib

import numpy as np
import pytest
import tifffile
import zarr

from uemdask.errors import FaultsError, UemError
from uemdask.readers import inspect_raw
from uemdask.stages.ingest import digest_of_raw

NM = {"resolution": (1 / 3, 1 / 3), "metadata": {"axes": "YX", "unit": "nm"}, "imagej": True}


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def write(file, level=100):
    file.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(zlib.crc32(file.name.encode()))
    tifffile.imwrite(file, random.poisson(level, (16, 20)).astype(np.uint16), **NM)


def table(folder, rows, name="delays.csv"):
    (folder / name).write_text("\n".join(["file,delay_ps", *rows]), encoding="utf-8")


def names(found):
    return [image for images in found.source_names for image in images]


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_table", ["NFC", "NFD"])
def test_names_are_the_same_in_both_forms(raw, on_disk, in_table):
    for i in range(4):
        write(raw / unicodedata.normalize(on_disk, f"Größe_{i}.tif"))
    write(raw / unicodedata.normalize(on_disk, "Größe_dark.tif"))
    rows = [f"Größe_{i}.TIF,{10 - i}" for i in range(4)] + ["Größe_dark.tif,0"]
    table(raw, [unicodedata.normalize(in_table, row) for row in rows])
    found = inspect_raw(raw, dark=unicodedata.normalize(in_table, "Größe_d*.tif"))
    assert found.delays.tolist() == [7, 8, 9, 10]
    assert len(found.dark) == 1
    given = raw.parent / unicodedata.normalize(on_disk, "Verzögerung.csv")
    (raw / "delays.csv").rename(given)
    other = raw.parent / unicodedata.normalize(in_table, "Verzögerung.csv")
    assert inspect_raw(raw, delays=str(other)).delays.tolist() == [7, 8, 9, 10]


def test_what_servers_and_systems_leave_is_no_scan_and_no_frame(raw):
    for scan in (1, 2):
        for i in range(4):
            name = f"Ge_{scan - 1}_{i}_{5 * i - 5}ps.tif"
            write(raw / f"scan_{scan}" / name)
            (raw / f"scan_{scan}" / "@eaDir" / name).mkdir(parents=True)
            (raw / "@eaDir" / name).mkdir(parents=True)
            write(raw / "#recycle" / name)
            write(raw / ".snapshot" / "daily" / name)
        (raw / f"scan_{scan}" / "._a.tif").write_bytes(b"\0\5\x16\7")
        (raw / f"scan_{scan}" / "Thumbs.db").write_bytes(b"x")
        write(raw / "__MACOSX" / f"scan_{scan}" / "a.tif")
    (raw / "~$delays.csv").write_bytes(b"x")
    found = inspect_raw(raw, every_file=True)
    assert found.scans == (1, 2)
    assert found.delays.tolist() == [-5, 0, 5, 10]
    assert found.origins["delays"] == "from names, 8 of 8"
    assert found.origins["scans"] == "2, numbered in file names"


def test_a_table_beside_any_stack_is_found(raw):
    values = np.random.default_rng(0).poisson(100, (4, 16, 20)).astype(np.uint16)
    store = zarr.open_array(str(raw / "run7.zarr"), mode="w", shape=values.shape, dtype="uint16")
    store[:] = values
    (raw / "run7.csv").write_text("delay_ps\n-1\n0\n1\n2\n")
    (raw / "delays.csv").write_text("delay_ps\n5\n6\n7\n8\n")
    for path in (raw / "run7.zarr", raw):
        found = inspect_raw(path, pixel_size="3nm")
        assert found.delays.tolist() == [-1, 0, 1, 2]
        assert found.origins["delays"].endswith(", 4 of 4 in the order of the stack")
    (raw / "run7.csv").unlink()
    assert inspect_raw(raw / "run7.zarr", pixel_size="3nm").delays.tolist() == [5, 6, 7, 8]
    (raw / "delays.csv").unlink()
    with pytest.raises(UemError, match=r"delays\.csv or run7\.csv"):
        inspect_raw(raw / "run7.zarr", pixel_size="3nm")


def test_an_ome_stack_has_the_table_of_its_short_name(raw):
    write(raw / "a.tif")
    data = np.stack([tifffile.imread(raw / "a.tif") + i for i in range(4)])
    (raw / "a.tif").unlink()
    tifffile.imwrite(raw / "run.ome.tif", data, metadata={"axes": "TYX"})
    (raw / "run.csv").write_text("delay_ps\n-1\n0\n1\n2\n")
    assert inspect_raw(raw / "run.ome.tif", pixel_size="3nm").delays.tolist() == [-1, 0, 1, 2]


def test_a_store_that_a_system_looked_at_is_the_same_data(raw):
    store = zarr.open_array(str(raw / "s.zarr"), mode="w", shape=(3, 8, 8), dtype="uint16")
    store[:] = np.arange(192).reshape(3, 8, 8)
    known = {"delays": "0:2:1", "pixel_size": "3nm"}
    before = digest_of_raw(inspect_raw(raw / "s.zarr", **known))
    (raw / "s.zarr" / ".DS_Store").write_bytes(b"x")
    (raw / "s.zarr" / "@eaDir").mkdir()
    (raw / "s.zarr" / "@eaDir" / "zarr.json@SynoEAStream").write_bytes(b"x")
    assert digest_of_raw(inspect_raw(raw / "s.zarr", **known)) == before


# ---- stopped scans


def test_a_scan_that_was_stopped_is_taken_as_far_as_it_goes(raw):
    order = [3, 0, 5, 1, 4, 2]  # as taken
    for i in order[:4]:
        write(raw / f"f_{i}.tif")
    table(raw, [f"f_{i}.tif,{5 * i - 10}" for i in order])
    found = inspect_raw(raw)
    assert found.delays.tolist() == [-10, -5, 5, 15]
    assert found.notes == [
        "the last 2 of 6 rows of delays.csv name images that are not there (f_4.tif, f_2.tif); "
        "the scan was stopped, and they are left out"
    ]


def test_an_image_that_is_lost_between_others_is_not_passed_over(raw):
    for i in (0, 1, 3, 4):
        write(raw / f"f_{i}.tif")
    table(raw, [f"f_{i}.tif,{i}" for i in range(6)])
    with pytest.raises(FaultsError, match=r"'f_2\.tif': named in the table but not in"):
        inspect_raw(raw)


@pytest.mark.parametrize("gap", [False, True])
def test_a_table_without_names_may_go_on_after_the_last_frame(raw, gap):
    for i in range(4):
        write(raw / f"f_{i + (gap and i > 1)}.tif")
    (raw / "delays.csv").write_text("delay_ps\n" + "\n".join(map(str, range(-2, 4))))
    if gap:  # which one is missing?
        with pytest.raises(UemError, match="6 delays for 4 frames"):
            inspect_raw(raw)
        return
    found = inspect_raw(raw)
    assert found.delays.tolist() == [-2, -1, 0, 1]
    assert "states 6 delays for 4 frames: the scan was stopped" in found.notes[0]


def test_a_plan_is_as_long_as_it_was_stated(raw):
    for i in range(4):
        write(raw / f"f_{i}.tif")
    with pytest.raises(UemError, match="6 delays for 4 frames"):
        inspect_raw(raw, delays="-2:3:1 ps")


# ---- numbers in names


def test_signed_names_go_with_a_plan(raw):
    wanted = np.arange(-2, 4.01, 0.5)
    for k, delay in enumerate(wanted):
        write(raw / f"data.timedelay.{delay:+.2f}.nscan.01.pumpon.tif", 200 + k)
    found = inspect_raw(raw, delays="-2:4:0.5 ps")
    assert names(found) == [f"data.timedelay.{d:+.2f}.nscan.01.pumpon.tif" for d in wanted]
    assert found.delays.tolist() == wanted.tolist()


def test_names_in_another_order_than_the_plan_are_shown_with_it(raw):
    for i, delay in enumerate((1.5, -2, 0.25, 3)):
        write(raw / f"shot{i}_{delay:+.2f}.tif")
    with pytest.raises(UemError) as caught:
        inspect_raw(raw, delays="0:3:1 ps")
    assert "do not rise with the delays of `delays='0:3:1 ps'`" in str(caught.value)
    assert "shot2_+0.25.tif would be at 2 ps and shot0_+1.50.tif at 0 ps" in str(caught.value)


# ---- what is missing, and where the rest is from


def test_all_that_is_missing_is_told_at_once(raw):
    for i in range(4):
        tifffile.imwrite(raw / f"f_{i}.tif", np.full((8, 8), i, np.uint16))
    with pytest.raises(FaultsError) as caught:
        inspect_raw(raw, time_zero="1,250 fs")
    delays, pixel, zero = caught.value.faults
    assert delays.startswith("no delays found")
    assert pixel.startswith("no pixel size in the files")
    assert zero.startswith("time zero '1,250 fs' may be 1250 or 1.25")


def test_where_guesses_are_from(raw):
    for i in range(4):
        write(raw / f"Ge_{5 * i - 5}ps.tif")
    write(raw / "dark_1.tif")
    write(raw / "laser_off.tif")
    assert inspect_raw(raw).origins == {
        "delays": "from names, 4 of 4",
        "pixel": "ImageJ tags",
        "time zero": "not given, 0 ps",
        "scans": "one",
        "offset": "none",
        "dark": "1, by the names of files or folders",
        "pump off": "1, by the names of files or folders",
    }
    (raw / "metadata.yaml").write_text("time_zero: 1 ps\n")
    found = inspect_raw(raw, delays="0:3:1 ps", pixel_size="2nm", dark="dark_1.tif")
    assert found.origins["delays"] == "from the plan '0:3:1 ps', 4 of 4 in the order of names"
    assert found.origins["pixel"] == "given"
    assert found.origins["time zero"] == "metadata.yaml"
    assert found.origins["dark"] == "1, given"


def test_images_without_the_probe_are_set_aside(raw):
    for i in range(4):
        write(raw / f"pumpon_{5 * i - 5}ps.tif")
    write(raw / "probe_off.tif")
    found = inspect_raw(raw)
    assert [file.name for file in found.pump_off] == ["probe_off.tif"]
    assert found.dark == ()
    assert any("without the probe are set aside, `dark` would take" in n for n in found.notes)
    assert [f.name for f in inspect_raw(raw, dark="probe_off.tif").dark] == ["probe_off.tif"]

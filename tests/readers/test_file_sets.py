"""Series that are spread over several files."""

import numpy as np
import pytest
import tifffile
from written_files import check_stack

from uemdask.errors import FaultsError, UemError
from uemdask.readers import describe_image, inspect_raw, read_image

COUNT = 6


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(COUNT)])


def write_set(folder, stack, files, uuid=True, size="T"):
    """Write an OME-TIFF set; `files` gives of each file the places of its pages."""
    folder.mkdir(exist_ok=True)
    place_of = {place: (name, page) for name in files for page, place in enumerate(files[name])}
    data = "".join(
        f'<TiffData First{size}="{place}" IFD="{page}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
        for place, (name, page) in sorted(place_of.items())
    )
    sizes = {axis: COUNT if axis == size else 1 for axis in "ZCT"}
    pixels = " ".join(f'Size{axis}="{count}"' for axis, count in sizes.items())
    for name, places in files.items():
        own = f' UUID="urn:uuid:{name}"' if uuid else ""
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{own}>'
            f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
            f'SizeX="32" SizeY="24" {pixels} PhysicalSizeX="3" PhysicalSizeXUnit="nm" '
            f'PhysicalSizeY="2.5" PhysicalSizeYUnit="nm"><Channel ID="Channel:0:0" '
            f'SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
        )
        with tifffile.TiffWriter(folder / name) as file:
            for page, place in enumerate(places):
                text = xml.encode() if page == 0 else None
                file.write(
                    stack[place], description=text, metadata=None, contiguous=False,
                    photometric="minisblack",
                )  # fmt: skip


def read(raw):
    """Return the frames of a raw acquisition in the order of their delays."""
    return [
        read_image(images[0].file, images[0].index, raw.shape, raw.dtype) for images in raw.repeats
    ]


@pytest.mark.parametrize("uuid", [True, False])
@pytest.mark.parametrize("size", ["T", "Z"])
def test_a_file_of_a_set_holds_its_own_pages(tmp_path, stack, uuid, size):
    write_set(tmp_path, stack, {f"{i}.ome.tif": [i] for i in range(COUNT)}, uuid, size)
    for i in range(COUNT):
        info = check_stack(tmp_path / f"{i}.ome.tif", stack[i : i + 1])
        assert info.pixel_size == (2.5, 3.0)
        assert info.part.places == (i,)


@pytest.mark.parametrize(
    "files",
    [
        {f"f_{i}.ome.tif": [i] for i in range(COUNT)},
        {f"f_{9 - i}.ome.tif": [i] for i in range(COUNT)},  # names fall as the places rise
        {"a.ome.tif": [0, 1, 2], "b.ome.tif": [3, 4, 5]},
        {"b.ome.tif": [0, 1, 2, 3], "a.ome.tif": [4, 5]},
        {"a.ome.tif": [0, 2, 4], "b.ome.tif": [1, 3, 5]},
        {"a.ome.tif": [5, 4, 3], "b.ome.tif": [2, 1, 0]},
    ],
    ids=str,
)
def test_a_folder_of_a_set_is_one_series_in_its_own_order(tmp_path, stack, files):
    write_set(tmp_path / "raw", stack, files)
    raw = inspect_raw(tmp_path / "raw", delays="-5:20:5 ps")
    np.testing.assert_array_equal(read(raw), stack)
    assert raw.notes == []


def test_a_table_names_the_files_of_a_set(tmp_path, stack, write_delays):
    write_set(tmp_path, stack, {f"{i}.ome.tif": [i] for i in range(COUNT)})
    write_delays(tmp_path, [(f"{i}.ome.tif", -5 * i) for i in range(COUNT)])
    np.testing.assert_array_equal(read(inspect_raw(tmp_path)), stack[::-1])


def test_a_row_for_a_file_of_several_frames_of_a_set_is_refused(tmp_path, stack, write_delays):
    write_set(tmp_path, stack, {"a.tif": [0, 1], "b.tif": [2, 3], "c.tif": [4, 5]})
    write_delays(tmp_path, [("a.tif", 0), ("b.tif", 5), ("c.tif", 10)])
    with pytest.raises(UemError, match=r"names files, each of which holds 2 frames of a set; give"):
        inspect_raw(tmp_path)


def test_an_incomplete_set_is_told(tmp_path, stack):
    write_set(tmp_path, stack, {f"{i}.ome.tif": [i] for i in range(COUNT)})
    (tmp_path / "2.ome.tif").unlink()
    raw = inspect_raw(tmp_path, delays="0:20:5 ps", time_zero="5ps")
    np.testing.assert_array_equal(read(raw), np.delete(stack, 2, axis=0))
    note = "5 of the 6 frames of the set 0.ome.tif, ... are there (without 2.ome.tif)"
    assert note in raw.notes
    with pytest.raises(UemError, match="6 delays for 5 frames"):
        inspect_raw(tmp_path, delays="0:25:5 ps")


def test_frames_that_a_file_only_tells_of_are_not_made_up(tmp_path, stack):
    write_set(tmp_path, stack, {"a.ome.tif": range(COUNT)})
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        offsets = [page.offset for page in file.pages]
    data = bytearray((tmp_path / "a.ome.tif").read_bytes())
    # The chain of pages ends after the fourth.
    place = data.index(offsets[4].to_bytes(4, "little"), offsets[3])
    data[place : place + 4] = bytes(4)
    (tmp_path / "a.ome.tif").write_bytes(data)
    info = check_stack(tmp_path / "a.ome.tif", stack[:4])
    assert info.notes == ("a.ome.tif holds 4 of the 6 frames that it tells of",)


def test_one_file_of_a_set_is_no_series(tmp_path, stack):
    write_set(tmp_path, stack, {f"{i}.ome.tif": [i] for i in range(COUNT)})
    words = r"0\.ome\.tif: is one of 6 files of a set; name their folder"
    with pytest.raises(UemError, match=words):
        inspect_raw(tmp_path / "0.ome.tif", delays="0:25:5 ps")


def test_a_frame_that_two_files_hold_is_refused(tmp_path, stack):
    write_set(tmp_path, stack, {f"{i}.ome.tif": [i] for i in range(COUNT)})
    (tmp_path / "9.ome.tif").write_bytes((tmp_path / "2.ome.tif").read_bytes())
    with pytest.raises(FaultsError, match=r"9\.ome\.tif: holds frame 2 of the set, as 2\.ome"):
        inspect_raw(tmp_path, delays="0:30:5 ps")


def test_other_files_are_not_opened(tmp_path, stack):
    """A set may name any file: none but its own is opened for its frames."""
    import os

    write_set(tmp_path, stack, {f"{i}.ome.tif": [i] for i in range(COUNT)})
    (tmp_path / "1.ome.tif").unlink()
    os.mkfifo(tmp_path / "1.ome.tif")  # opening it would wait for ever
    assert describe_image(tmp_path / "0.ome.tif").frames == 1


def test_a_set_of_two_channels_is_refused(tmp_path, stack):
    write_set(tmp_path, stack, {f"{i}.ome.tif": [i] for i in range(COUNT)})
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes().replace(b'SizeZ="1"', b'SizeZ="2"'))
    with pytest.raises(UemError, match="more than one axis, T 6, C 1, Z 2, y 24, x 32; save one"):
        describe_image(tmp_path / "0.ome.tif")


def test_a_set_in_each_folder_is_a_scan(tmp_path, stack):
    for scan in (1, 2):
        files = {f"{i}.ome.tif": [i] for i in range(COUNT)}
        (tmp_path / f"scan {scan}").mkdir()
        write_set(tmp_path / f"scan {scan}", stack + scan, files)
    (tmp_path / "scan 2" / "5.ome.tif").unlink()
    with pytest.raises(UemError, match="6 delays for 11 frames"):
        inspect_raw(tmp_path, delays="-5:20:5 ps")
    write_set(tmp_path / "scan 2", stack + 2, files)
    raw = inspect_raw(tmp_path, delays="-5:20:5 ps")
    assert raw.scans == (1, 2)
    np.testing.assert_array_equal(read(raw), stack + 1)


# ---- bursts


def test_a_burst_at_each_delay_is_averaged(tmp_path, stack):
    for i in range(4):
        tifffile.imwrite(tmp_path / f"Ge_{5 * i}ps.tif", stack[:3] + i, photometric="minisblack")
    raw = inspect_raw(tmp_path, pixel_size="3nm")
    assert raw.delays.tolist() == [0, 5, 10, 15]
    assert [[image.index for image in images] for images in raw.repeats] == [[0, 1, 2]] * 4
    assert raw.averaged
    assert raw.scans == (1,)
    assert "each file holds 3 images of one delay, which are averaged" in raw.notes

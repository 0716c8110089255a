"""Gatan DM3 and DM4: written files of every kind, and real ones."""

import subprocess
import sys

import numpy as np
import pytest
from dm_files import DmImage, write_dm, write_dm_images
from written_files import check_stack

from uemdask.errors import UemError
from uemdask.readers import describe_image, read_image

_TAGS = {
    "LaserParameter": {
        "Step Number": 3,
        "Delay": -5.25,
        "Delay Units": "ps",
        "Pump On": True,
        "Stage": (1.5, -2.0),
        "Counts": np.arange(4, dtype=np.uint16) + 300,
        "Sample": "Größe µm 試料",
    },
    "Microscope Info": {"Voltage": 200000.0},
}


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_grey_dtype(tmp_path, frame, version, dtype, byteorder):
    image = frame(1, dtype)
    path = tmp_path / f"a.dm{version}"
    write_dm_images(path, [DmImage(image)], version=version, byteorder=byteorder)
    check_stack(path, image[np.newaxis])


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("thumbnail", [True, False])
def test_tags_are_kept_whole(tmp_path, stack, version, thumbnail):
    path = tmp_path / f"a.dm{version}"
    write_dm(path, stack, version=version, tags=_TAGS, thumbnail=thumbnail)
    tags = check_stack(path, stack).vendor["ImageList"]["TagGroup0"]["ImageTags"]
    assert tags["Microscope Info"] == {"Voltage": 200000.0}
    laser = tags["LaserParameter"]
    assert laser["Step Number"] == 3
    assert laser["Delay"] == -5.25
    assert laser["Delay Units"] == "ps"
    assert laser["Pump On"] == 1
    assert laser["Stage"] == (1.5, -2.0)
    assert laser["Sample"] == _TAGS["LaserParameter"]["Sample"]


@pytest.mark.parametrize(
    ("size", "unit", "nm"),
    [
        ((2.5, 3.0), "nm", (2.5, 3.0)),
        ((2.5, 3.0), "µm", (2500, 3000)),
        ((2.5, 3.0), ("Å", "nm"), (0.25, 3.0)),
        ((2.5, 3.0), ("A", "pm"), (0.25, 0.003)),
    ],
)
@pytest.mark.parametrize("version", [3, 4])
def test_the_pixel_size_in_the_units_of_the_axes(tmp_path, stack, size, unit, nm, version):
    path = write_dm(tmp_path / f"a.dm{version}", stack, version=version, pixel_size=size, unit=unit)
    assert describe_image(path).pixel_size == pytest.approx(nm)


@pytest.mark.parametrize(
    ("unit", "size", "reason"),
    [
        ("1/nm", 0.2, "its axes are in 1/nm, which is no length"),
        ("mrad", 0.2, "its axes are in mrad, which is no length"),
        ("", 1.0, "its axes have no unit of length"),
        (("nm", "1/nm"), 1.0, "its axes are in 1/nm, which is no length"),
        ("nm", 0.0, "it states a pixel size of 0 nm"),
        ("nm", float("nan"), "its axes have no even step"),
    ],
)
def test_what_is_no_length_is_no_pixel_size(tmp_path, stack, unit, size, reason):
    info = describe_image(write_dm(tmp_path / "a.dm3", stack, pixel_size=size, unit=unit))
    assert info.pixel_size is None
    assert info.no_pixel_size == reason


def test_a_stack_whose_frames_have_no_axis(tmp_path, stack):
    # As StackBuilder writes it.
    path = tmp_path / "a.dm3"
    write_dm_images(path, [DmImage(stack, (2.5, 3.0), calibrated=2)])
    assert check_stack(path, stack).pixel_size == (2.5, 3.0)


# ---- files with several signals


def test_the_only_image_of_several_signals_is_taken(tmp_path, frame):
    path = tmp_path / "a.dm4"
    signals = [DmImage(np.arange(9.0), name="plot"), DmImage(frame(1), name="HAADF")]
    write_dm_images(path, signals, version=4)
    check_stack(path, frame(1)[np.newaxis])
    check_stack(path, frame(1)[np.newaxis], dataset="HAADF")


def test_one_of_several_images_is_named_by_title_or_number(tmp_path, frame):
    path = tmp_path / "a.dm3"
    write_dm_images(path, [DmImage(frame(i), (2.0, i + 1.0), name=f"camera {i}") for i in range(3)])
    with pytest.raises(UemError) as error:
        describe_image(path)
    assert str(error.value) == (
        f"{path}: holds 3 images or stacks; name one with `dataset`: 0 'camera 0' (24, 32) uint16; "
        f"1 'camera 1' (24, 32) uint16; 2 'camera 2' (24, 32) uint16"
    )
    for dataset in ("camera 1", "1"):
        assert check_stack(path, frame(1)[np.newaxis], dataset).pixel_size == (2.0, 2.0)
    with pytest.raises(UemError, match="no dataset named 'camera 9'; name one of 0 'camera 0'"):
        describe_image(path, "camera 9")


def test_a_stack_is_taken_before_a_single_image(tmp_path, frame, stack):
    path = tmp_path / "a.dm3"
    write_dm_images(path, [DmImage(frame(1), name="survey"), DmImage(stack, name="series")])
    check_stack(path, stack)
    check_stack(path, frame(1)[np.newaxis], dataset="survey")


# ---- faults


@pytest.mark.parametrize(
    ("array", "tags", "words"),
    [
        (np.arange(9.0), {}, "holds a spectrum, not images; leave it out"),
        (
            np.zeros((1, 9), np.float32),
            {"Meta Data": {"Format": "Spectrum"}},
            "holds a spectrum, not images; leave it out",
        ),
        (
            np.zeros((5, 4, 4), np.float32),
            {"Meta Data": {"Format": "Spectrum image"}},
            "holds a spectrum image, not images; leave it out",
        ),
        (
            np.zeros((4, 4), [(name, "u1") for name in "RGB"]),
            {},
            "holds a colour image; save it as grey values",
        ),
        (
            np.zeros((4, 5), np.complex64),
            {},
            "holds no image of integer or real grey values, only 0 'image' (4, 5) complex64; "
            "check the file",
        ),
        (
            np.zeros((3, 2, 4, 5), np.float32),
            {},
            "holds images along more than one axis, frame 3, frame 2, y 4 (nm), x 5 (nm); save one "
            "series, an image for each delay",
        ),
    ],
)
def test_what_is_no_series_of_grey_images_is_refused(tmp_path, array, tags, words):
    path = write_dm(tmp_path / "a.dm3", array, tags=tags)
    with pytest.raises(UemError) as error:
        describe_image(path)
    assert str(error.value) == f"{path}: {words}"


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("cut", [3, 9, 40, 200, 700, 1000, 3000, 5000])
def test_a_cut_anywhere_is_told_in_a_sentence(tmp_path, stack, version, cut):
    path = write_dm(tmp_path / f"a.dm{version}", stack, version=version, tags=_TAGS)
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    with pytest.raises(UemError, match=rf"a\.dm{version}: .*copy it again$"):
        describe_image(path)


def test_without_rosettasciio_the_way_out_is_told(tmp_path, stack):
    path = write_dm(tmp_path / "a.dm3", stack)
    code = (
        "import sys; sys.modules['rsciio'] = None; sys.modules['rsciio.digitalmicrograph'] = None\n"
        "from pathlib import Path; from uemdask.readers import describe_image\n"
        "describe_image(Path(sys.argv[1]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
    )
    assert found.stderr.strip().splitlines()[-1] == (
        f"uemdask.errors.UemError: {path}: Gatan files are read through RosettaSciIO, which is not "
        f"installed; run pip install 'uemdask[formats]'"
    )


# ---- real files


def test_a_real_cube_in_dm3_and_dm4_is_the_same(real_data):
    files = [real_data("gatan_dm_ncempy", f"dmTest_3D_int16_64,65,66.dm{v}") for v in (3, 4)]
    infos = [describe_image(file) for file in files]
    for info in infos:
        assert (info.frames, info.shape, info.dtype) == (66, (65, 64), "int16")
        assert info.pixel_size == pytest.approx((3.0, 0.002))  # y in nm, x in pm
    for index in (0, 17, 65):
        one, other = (read_image(file, index, (65, 64), "int16") for file in files)
        np.testing.assert_array_equal(one, other)
        # Its maker counted along x, in every row and frame.
        np.testing.assert_array_equal(one[:, 1:] - one[:, :-1], 1)


@pytest.mark.parametrize("version", [3, 4])
def test_a_real_image_with_unequal_pixels(real_data, version):
    name = f"dmTest_float32_nonSquare_diffPixelSize.dm{version}"
    info = describe_image(real_data("gatan_dm_ncempy", name))
    assert (info.frames, info.shape, info.dtype) == (1, (64, 128), "float32")
    assert info.pixel_size == pytest.approx((0.2, 1.0))  # 2 Å, 1 nm


def test_a_real_spectrum_is_refused(real_data):
    path = real_data("gatan_dm_ncempy", "08_carbon.dm3")
    with pytest.raises(UemError) as error:
        describe_image(path)
    assert str(error.value) == f"{path}: holds a spectrum, not images; leave it out"


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(
    ("number", "dtype"), [(1, "int16"), (2, "float32"), (7, "int32"), (9, "int8"), (10, "uint16")]
)
def test_real_images_and_cubes_of_every_dtype(real_data, version, number, dtype):
    image = real_data("gatan_dm_rosettasciio", f"2D_test-{number}.dm{version}")
    cube = real_data("gatan_dm_rosettasciio", f"3D_test-{number}.dm{version}")
    # Their maker counted from 1.
    check_stack(image, np.arange(1, 5).reshape(1, 2, 2).astype(dtype))
    check_stack(cube, np.arange(1, 9).reshape(2, 2, 2).astype(dtype))


def test_a_real_stack_of_stackbuilder(real_data):
    info = describe_image(real_data("gatan_dm_rosettasciio", "test_stackbuilder_imagestack.dm3"))
    assert (info.frames, info.shape, info.dtype) == (3, (2, 16), "uint32")
    assert info.pixel_size == pytest.approx((59.98, 59.98), rel=1e-3)


def test_a_real_file_of_two_signals(real_data):
    path = real_data("gatan_dm_rosettasciio", "multi_signal.dm3")
    info = describe_image(path)
    assert (info.frames, info.shape, info.dtype) == (1, (512, 512), "uint16")
    assert info.pixel_size == pytest.approx((0.01775, 0.01775), rel=1e-3)
    with pytest.raises(UemError, match="dataset 'Plot' is a spectrum; name an image"):
        describe_image(path, "Plot")


def test_a_real_stem_image(real_data):
    info = describe_image(real_data("gatan_dm_rosettasciio", "test_STEM_image.dm3"))
    assert (info.frames, info.shape, info.dtype) == (1, (68, 68), "uint32")
    assert info.pixel_size == pytest.approx((0.2485, 0.2485), rel=1e-3)


def test_a_real_diffraction_pattern_has_no_pixel_size(real_data):
    info = describe_image(real_data("gatan_dm_rosettasciio", "test_diffraction_pattern.dm3"))
    assert (info.frames, info.shape, info.dtype) == (1, (87, 87), "int32")
    assert info.pixel_size is None
    assert info.no_pixel_size == "its axes are in 1/nm, which is no length"


def test_a_real_camera_frame_in_dm3_and_dm4(real_data):
    files = [real_data("ued_bismuth_skued", f"bismuth.dm{v}") for v in (3, 4)]
    one, other = (read_image(file, 0, (256, 256), "int8") for file in files)
    np.testing.assert_array_equal(one, other)
    info = describe_image(files[0])
    assert info.no_pixel_size == "its axes have no unit of length"
    assert "Acquisition" in info.vendor["ImageList"]["TagGroup0"]["ImageTags"]

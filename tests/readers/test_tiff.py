"""TIFF files of microscopes and of ImageJ."""

import logging

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from written_files import check_stack

from uemdask.errors import UemError
from uemdask.readers import describe_image, read_image


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64"])
def test_one_image_of_every_grey_dtype(tmp_path, frame, dtype):
    image = frame(1, dtype)
    tifffile.imwrite(tmp_path / "a.tif", image)
    check_stack(tmp_path / "a.tif", image[np.newaxis])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"metadata": None},  # one directory a page, no description
        {"imagej": True, "metadata": {"axes": "TYX"}},  # one directory, contiguous
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"byteorder": ">", "imagej": True},
        {"rowsperstrip": 5},
        {"tile": (16, 16)},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"ome": True},
    ],
    ids=str,
)
def test_stacks_of_every_make(tmp_path, stack, options):
    path = tmp_path / "a.tif"
    try:
        tifffile.imwrite(path, stack, photometric="minisblack", **options)
    except (ImportError, ValueError) as error:  # an optional codec
        pytest.skip(str(error))
    check_stack(path, stack)


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "CYX", "TZCYX"])
def test_an_imagej_hyperstack_along_one_axis_is_a_series(tmp_path, stack, axes):
    shape = [len(stack) if axis == axes[0] else 1 for axis in axes[:-2]]
    values = stack.reshape(*shape, *stack.shape[1:])
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, metadata={"axes": axes})
    check_stack(tmp_path / "a.tif", stack)


@pytest.mark.parametrize("axes", ["TZYX", "TCYX", "ZCYX"])
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_a_hyperstack_along_two_axes_is_refused(tmp_path, frame, axes, kind):
    hyper = np.stack([frame(i) for i in range(6)]).reshape(3, 2, *frame(0).shape)
    options = {"photometric": "minisblack", kind: True}
    tifffile.imwrite(tmp_path / "a.tif", hyper, metadata={"axes": axes}, **options)
    with pytest.raises(UemError) as error:
        describe_image(tmp_path / "a.tif")
    assert str(error.value) == (
        f"{tmp_path / 'a.tif'}: holds images along more than one axis, {axes[0]} 3, {axes[1]} 2, "
        f"Y 24, X 32; save one series, an image for each delay"
    )


@pytest.mark.parametrize("name", ["a.btf", "a.tif", "a.ome.tif", "a.TIFF"])
def test_bigtiff_by_any_name(tmp_path, stack, name):
    tifffile.imwrite(tmp_path / name, stack, photometric="minisblack", bigtiff=True)
    assert (tmp_path / name).read_bytes()[2] == 43
    check_stack(tmp_path / name, stack)


def test_one_of_several_series_is_named(tmp_path, stack):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(stack, photometric="minisblack", metadata={"axes": "TYX"})
        file.write(stack[:2, :9], photometric="minisblack", metadata={"axes": "TYX"})
    with pytest.raises(UemError, match=r"2 images or stacks; name one with `dataset`: 0 .*; 1 "):
        describe_image(tmp_path / "a.tif")
    check_stack(tmp_path / "a.tif", stack, dataset="0")
    check_stack(tmp_path / "a.tif", stack[:2, :9], dataset="1")


def test_a_preview_is_not_taken_for_an_image(tmp_path, frame):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(frame(1), metadata=None)
        file.write(frame(1)[::4, ::4], metadata=None, subfiletype=1)
    check_stack(tmp_path / "a.tif", frame(1)[np.newaxis])


def test_pages_written_one_by_one(tmp_path, stack):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for image in stack:
            file.write(image, contiguous=False, metadata=None)
    check_stack(tmp_path / "a.tif", stack)


@pytest.mark.parametrize(
    ("unit", "nm"), [("nm", 1), ("micron", 1e3), ("\\u00B5m", 1e3), ("Angstrom", 0.1)]
)
def test_the_pixel_size_of_imagej(tmp_path, frame, unit, nm):
    tifffile.imwrite(
        tmp_path / "a.tif", frame(0), imagej=True, resolution=(0.4, 0.25), metadata={"unit": unit}
    )
    assert describe_image(tmp_path / "a.tif").pixel_size == pytest.approx((4 * nm, 2.5 * nm))


def test_the_pixel_size_in_tiff_s_own_unit(tmp_path, frame):
    tifffile.imwrite(
        tmp_path / "a.tif", frame(0), resolution=(4e6, 2e6), resolutionunit="CENTIMETER"
    )
    assert describe_image(tmp_path / "a.tif").pixel_size == pytest.approx((5, 2.5))


@pytest.mark.parametrize(
    ("metadata", "nm"),
    [
        ({"PhysicalSizeX": 3.0, "PhysicalSizeY": 2.5, "PhysicalSizeXUnit": "nm"}, None),
        ({"PhysicalSizeX": 0.003, "PhysicalSizeY": 0.0025}, (2.5, 3.0)),  # µm
        (
            {
                "PhysicalSizeX": 3.0,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 25.0,
                "PhysicalSizeYUnit": "Å",
            },
            (2.5, 3.0),
        ),
    ],
)
def test_the_pixel_size_of_ome(tmp_path, stack, metadata, nm):
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        stack,
        ome=True,
        photometric="minisblack",
        metadata={"axes": "TYX", **metadata},
    )
    info = check_stack(tmp_path / "a.ome.tif", stack)
    # Without a unit of y, µm is meant, whatever x has.
    assert info.pixel_size == pytest.approx(nm or (2500.0, 3.0))
    assert "PhysicalSizeX" in info.vendor["OME"]


def test_the_pixel_size_of_digital_micrograph(tmp_path, frame):
    tags = [
        (65003, "s", 0, "nm", False),
        (65004, "s", 0, "µm".encode("latin-1"), False),
        (65009, "d", 1, 3.0, False),
        (65010, "d", 1, 0.0025, False),
    ]
    tifffile.imwrite(tmp_path / "a.tif", frame(0), extratags=tags)
    info = describe_image(tmp_path / "a.tif")
    assert info.pixel_size == pytest.approx((2.5, 3.0))
    assert info.vendor["private"]["65009"] == 3.0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"resolution": (72, 72), "resolutionunit": "INCH"},  # a printer's default
        {"resolution": (1, 1)},
        {"resolution": (0.4, 0.4), "imagej": True, "metadata": {"unit": "pixel"}},
    ],
    ids=str,
)
def test_what_is_no_pixel_size_is_not_taken_for_one(tmp_path, frame, options):
    tifffile.imwrite(tmp_path / "a.tif", frame(0), **options)
    assert describe_image(tmp_path / "a.tif").pixel_size is None


def test_the_vendor_s_tags_are_kept(tmp_path, frame):
    tifffile.imwrite(
        tmp_path / "a.tif",
        frame(0),
        software="Camera 3",
        description="200 kV, 25 kHz",
        metadata=None,
    )
    vendor = describe_image(tmp_path / "a.tif").vendor
    assert vendor["Software"] == "Camera 3"
    assert vendor["ImageDescription"] == "200 kV, 25 kHz"


# ---- faults


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.zeros((8, 9, 3), np.uint8), {"photometric": "rgb"}),
        (np.zeros((3, 8, 9), np.uint8), {"photometric": "rgb", "planarconfig": "separate"}),
        (
            np.zeros((8, 9), np.uint8),
            {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)},
        ),
    ],
)
def test_colours_are_refused(tmp_path, values, options):
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    with pytest.raises(UemError, match=r"a\.tif: holds colour images.*grey"):
        describe_image(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", [np.complex64, bool])
def test_what_is_not_a_real_number_is_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9), dtype))
    with pytest.raises(UemError, match="only integer or real"):
        describe_image(tmp_path / "a.tif")


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(UemError, match=r"a\.tif: is empty \(0 bytes\)"):
        describe_image(tmp_path / "a.tif")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UemError, match=r"a\.tif: no such file"):
        describe_image(tmp_path / "a.tif")
    with pytest.raises(UemError, match=r"a\.tif"):
        read_image(tmp_path / "a.tif", 0, (8, 8), "uint16")


def test_what_only_looks_like_tiff_is_named(tmp_path):
    (tmp_path / "a.tif").write_text("no image")
    with pytest.raises(UemError, match=r"a\.tif: cannot be opened as TIFF"):
        describe_image(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}], ids=str)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_truncated_stack_never_gives_made_up_pixels(tmp_path, stack, options, share):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, photometric="minisblack", **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    logging.disable(logging.ERROR)
    try:
        with pytest.raises(UemError, match=r"a\.tif"):
            read_image(path, len(stack) - 1, stack.shape[1:], "uint16")
    finally:
        logging.disable(logging.NOTSET)


def test_frames_of_another_shape_or_dtype_are_named_when_read(tmp_path, frame):
    tifffile.imwrite(tmp_path / "a.tif", frame(0))
    with pytest.raises(UemError, match=r"a\.tif: frame 0 is \(24, 32\) px, the other"):
        read_image(tmp_path / "a.tif", 0, (32, 24), "uint16")
    with pytest.raises(UemError, match=r"a\.tif: frame 0 is uint16, the other"):
        read_image(tmp_path / "a.tif", 0, (24, 32), "float32")


def test_a_frame_beyond_the_end_is_named(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    with pytest.raises(UemError, match=r"a\.tif: frame 9 cannot be read"):
        read_image(tmp_path / "a.tif", 9, stack.shape[1:], "uint16")


def test_damaged_bytes_give_a_result_or_an_error_for_people(tmp_path_factory, frame, answers):
    @given(st.data())
    @settings(max_examples=150)
    @answers
    def any_of_them(data):
        path = tmp_path_factory.getbasetemp() / "any.tif"
        imagej = data.draw(st.booleans())
        tifffile.imwrite(
            path, np.stack([frame(0)[:8, :8]] * 2), imagej=imagej, photometric="minisblack"
        )
        content = bytearray(path.read_bytes())
        # Headers, tags and descriptions; the pixels may be anything.
        places = st.integers(0, min(len(content), 500) - 1)
        for place in data.draw(st.lists(places, min_size=1, max_size=4)):
            content[place] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(content))
        logging.disable(logging.ERROR)
        try:
            info = describe_image(path)
            if info.frames and max(info.shape) < 1000:
                read_image(path, 0, info.shape, info.dtype)
        finally:
            logging.disable(logging.NOTSET)

    any_of_them()
    assert answers.share > 0.1


# ---- a real recording


def test_a_real_recording(real_data):
    path = real_data("cardiac_wave_cosmas", "isoV.tif")
    info = describe_image(path)
    assert (info.frames, info.shape, info.dtype) == (1000, (32, 32), "uint16")
    assert info.no_pixel_size == "its resolution has no unit"
    with tifffile.TiffFile(path) as file:
        theirs = file.asarray()
    check_stack(path, theirs)


# ---- values and axes that are not what they seem


def test_imagej_names_the_unit_of_y(tmp_path, frame):
    tifffile.imwrite(
        tmp_path / "a.tif",
        frame(0),
        imagej=True,
        resolution=(1 / 3, 400),
        metadata={"unit": "nm", "yunit": "\\u00B5m"},
    )
    assert describe_image(tmp_path / "a.tif").pixel_size == pytest.approx((2.5, 3.0))


@pytest.mark.parametrize("units", [{"unit": "ps", "yunit": "nm"}, {"unit": "nm", "yunit": "sec"}])
def test_a_space_time_plot_is_no_image(tmp_path, frame, units):
    tifffile.imwrite(tmp_path / "a.tif", frame(0), imagej=True, resolution=(1, 1), metadata=units)
    with pytest.raises(UemError, match=r"a\.tif: its axis [XY] is in (ps|sec), a time and no len"):
        describe_image(tmp_path / "a.tif")


def test_signed_values_of_imagej(tmp_path, stack):
    """ImageJ keeps them as unsigned ones and a straight line."""
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        imagej=True,
        metadata={"axes": "TYX", "cf": 0, "c0": -32768, "c1": 1},
    )
    check_stack(tmp_path / "a.tif", stack.astype(np.float32) - 32768)


def test_a_curve_of_imagej_is_refused(tmp_path, frame):
    curve = {"cf": 8, "c0": 1.0, "c1": 2.0, "c2": 3.0}
    tifffile.imwrite(tmp_path / "a.tif", frame(0), imagej=True, metadata=curve)
    with pytest.raises(UemError, match=r"calibrated by a curve of ImageJ's \(cf=8\); save it"):
        describe_image(tmp_path / "a.tif")


def test_white_as_0_is_refused(tmp_path, frame):
    tifffile.imwrite(tmp_path / "a.tif", frame(0), photometric="miniswhite")
    with pytest.raises(
        UemError, match=r"a\.tif: stores white as 0, so that .*; save it with black"
    ):
        describe_image(tmp_path / "a.tif")


def test_a_volume_in_one_page(tmp_path):
    stack = np.arange(12 * 32 * 48, dtype=np.uint16).reshape(12, 32, 48)
    tifffile.imwrite(
        tmp_path / "a.tif", stack, volumetric=True, tile=(16, 16, 16), photometric="minisblack"
    )
    check_stack(tmp_path / "a.tif", stack)


def test_pages_that_are_no_images_are_refused(tmp_path, stack):
    turned = stack.transpose(1, 2, 0).copy()
    tifffile.imwrite(tmp_path / "a.tif", turned, photometric="minisblack", metadata={"axes": "YXT"})
    with pytest.raises(UemError, match=r"lie as YXT \(24, 32, 4\), so that a page is no image"):
        describe_image(tmp_path / "a.tif")


def test_a_header_that_claims_a_huge_image_takes_no_memory(tmp_path, frame):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frame(0), compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages[0].tags[name].overwrite(60_000, dtype="I")
    with pytest.raises(UemError, match="states 1 frames of 60000 x 60000 px, more than any camera"):
        describe_image(path)

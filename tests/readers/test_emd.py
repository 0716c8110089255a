"""EMD of Velox and of NCEM: written ones, and a real one."""

import h5py
import numpy as np
import pytest
from written_files import check_stack, write_ncem, write_velox

from uemdask.errors import UemError
from uemdask.readers import describe_image


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.emd"


# ---- Velox


def test_the_metadata_of_velox(path, stack):
    write_velox(path, stack)
    info = check_stack(path, stack)
    assert info.pixel_size == pytest.approx((2.5, 3.0))
    assert info.vendor["Optics"] == {"AccelerationVoltage": "300000"}


def test_diffraction_of_velox_has_no_pixel_size(path, stack):
    write_velox(path, stack, unit="1/m")
    info = describe_image(path)
    assert (info.pixel_size, info.no_pixel_size) == (
        None,
        "its axes are in 1/m, which is no length",
    )


def test_one_of_several_detectors_is_named(path, stack):
    write_velox(path, stack)
    with h5py.File(path, "a") as file:
        file.copy("Data/Image/26f60320a61d4f66a73efd8cde34ffa9", "Data/Image/other")
        file["Data/Image/other/Data"][...] += 1
    with pytest.raises(UemError, match=r"holds 2 images or stacks; name one with .*: /Data/"):
        describe_image(path)
    check_stack(path, stack + 1, dataset="/Data/Image/other/Data")


def test_a_fourier_transform_is_not_taken_for_an_image(path, stack):
    write_velox(path, stack)
    pairs = np.zeros((24, 17, 1), [("realFloatHalfEven", "<f4"), ("imagFloatHalfEven", "<f4")])
    with h5py.File(path, "a") as file:
        file["Data/Image/fft/Data"] = pairs
    check_stack(path, stack)
    with pytest.raises(UemError, match="is of complex values; name an image or a stack"):
        describe_image(path, "/Data/Image/fft/Data")


# ---- NCEM


def test_the_axes_of_ncem(path, stack):
    write_ncem(path, stack)
    info = check_stack(path, stack)
    assert info.pixel_size == pytest.approx((2.5, 3.0))
    check_stack(path, stack, dataset="series")


def test_hyperspy_writes_x_first(path, stack):
    rsciio = pytest.importorskip("rsciio.emd")
    axes = [
        {"name": name, "size": size, "offset": 0.0, "scale": scale, "units": unit, "navigate": nav}
        for name, size, scale, unit, nav in (
            ("t", 4, 5.0, "ps", True),
            ("y", 24, 2.5, "nm", False),
            ("x", 32, 3.0, "nm", False),
        )
    ]
    signal = {
        "data": stack,
        "axes": axes,
        "metadata": {"General": {"title": "series"}, "Signal": {"signal_type": ""}},
        "original_metadata": {"user": {"name": "Jörg"}},
    }
    rsciio.file_writer(str(path), signal)
    info = check_stack(path, stack)
    assert info.pixel_size == pytest.approx((2.5, 3.0))
    assert info.vendor["user"]["@name"] == "Jörg"


@pytest.mark.parametrize("order", ["yxt", "xyt", "txy"])
def test_the_axes_of_ncem_lie_as_they_are_named(path, stack, order):
    with h5py.File(path, "w") as file:
        group = file.create_group("data/series")
        group.attrs["emd_group_type"] = 1
        group["data"] = stack.transpose(["tyx".index(letter) for letter in order])
        axes = {"t": ("delay", "[p_s]", 5.0), "y": ("y", "[n_m]", 2.5), "x": ("x", "[n_m]", 3.0)}
        for axis, letter in enumerate(order):
            name, unit, step = axes[letter]
            group[f"dim{axis + 1}"] = step * np.arange(group["data"].shape[axis])
            group[f"dim{axis + 1}"].attrs.update({"name": name, "units": unit})
    assert check_stack(path, stack).pixel_size == pytest.approx((2.5, 3.0))


def test_units_of_velox_hold_for_their_own_axis(path, stack):
    write_velox(path, stack)
    with h5py.File(path, "a") as file:
        (group,) = file["Data/Image"].values()
        text = bytes(group["Metadata"][:, 0]).rstrip(b"\0").decode()
        text = text.replace('"PixelUnitY": "m"', '"PixelUnitY": "um"')
        text = text.replace('"height": "2.5e-9"', '"height": "2.5e-3"')
        letters = np.frombuffer(text.encode().ljust(600, b"\0"), "u1")
        group["Metadata"][...] = letters[:, np.newaxis]
    assert check_stack(path, stack).pixel_size == pytest.approx((2.5, 3.0))


def test_version_one_counts_axes_from_0(path, stack):
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 1, 0
        group = file.create_group("root/series")
        group.attrs["emd_group_type"] = "array"
        group["data"] = stack
        for number, step in enumerate((1.0, 0.25, 0.3)):
            group[f"dim{number}"] = step * np.arange(stack.shape[number])
            group[f"dim{number}"].attrs["units"] = "A"
    assert check_stack(path, stack).pixel_size == pytest.approx((0.025, 0.03))


def test_without_axes_there_is_no_pixel_size(path, stack):
    with h5py.File(path, "w") as file:
        group = file.create_group("series")
        group.attrs["emd_group_type"] = 1
        group["data"] = stack
    assert check_stack(path, stack).no_pixel_size == "it names no axes with units"


def test_what_is_neither_is_refused(path, stack):
    with h5py.File(path, "w") as file:
        file["a"] = stack
    with pytest.raises(UemError, match=r"is neither Velox's nor NCEM's kind of EMD; check"):
        describe_image(path)


# ---- a real file of Velox


def test_a_real_stack_is_read_as_rosettasciio_reads_it(real_data):
    rsciio = pytest.importorskip("rsciio.emd")
    path = real_data("fei_series_rosettasciio", "fei_example_tem_stack.emd")
    (theirs,) = rsciio.file_reader(str(path))
    info = check_stack(path, theirs["data"])
    assert [axis["units"] for axis in theirs["axes"][1:]] == ["pm", "pm"]
    assert info.pixel_size == pytest.approx([axis["scale"] / 1e3 for axis in theirs["axes"][1:]])
    assert info.vendor["Optics"]["AccelerationVoltage"] == "300000"

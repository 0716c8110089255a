"""FEI TIA series: written ones, and a real pair of files."""

import struct

import numpy as np
import pytest
from tia_files import SPECTRA, write_emi, write_ser
from written_files import check_stack

from uemdask.errors import UemError
from uemdask.readers import describe_image, is_image, read_images


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"]
)
@pytest.mark.parametrize("version", [0x0210, 0x0220])
def test_every_grey_dtype_and_version(tmp_path, stack, dtype, version):
    write_ser(tmp_path / "a_1.ser", stack.astype(dtype), version=version)
    check_stack(tmp_path / "a_1.ser", stack.astype(dtype))


def test_the_pixel_size_is_in_metres(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack, pixel_size=(2.5e-9, 3e-9))
    assert describe_image(tmp_path / "a_1.ser").pixel_size == pytest.approx((2.5, 3))


def test_a_series_stopped_early_has_the_frames_that_were_recorded(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack, valid=3)
    check_stack(tmp_path / "a_1.ser", stack[:3])


def test_what_is_known_lies_in_the_file_beside_it(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack)
    write_emi(tmp_path / "A.EMI", [" TEM uP SA Zoom Image"])
    info = check_stack(tmp_path / "a_1.ser", stack)
    known = info.vendor["ObjectInfo"]["ExperimentalDescription"]
    assert known == {"Mode": "TEM uP SA Zoom Image", "High tension": "200 kV", "User": "Jörg"}
    assert info.pixel_size is not None


@pytest.mark.parametrize("mode", ["TEM uP SA Zoom Diffraction", "STEM nP SA Zoom Image"])
def test_diffraction_has_no_pixel_size(tmp_path, stack, mode):
    write_ser(tmp_path / "a_1.ser", stack)
    write_emi(tmp_path / "a.emi", [mode])
    info = describe_image(tmp_path / "a.emi")
    assert info.pixel_size is None
    assert info.no_pixel_size == "its axes are in 1/m, which is no length"


def test_a_pair_of_files_counts_once(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack)
    write_emi(tmp_path / "a.emi", ["TEM Image"])
    assert [file.name for file in tmp_path.iterdir() if is_image(file)] == ["a_1.ser"]
    assert check_stack(tmp_path / "a.emi", stack) == check_stack(tmp_path / "a_1.ser", stack)


def test_one_of_several_series_is_named(tmp_path, stack):
    write_emi(tmp_path / "a b (1).emi", ["TEM Image", "TEM Diffraction"])
    write_ser(tmp_path / "a b (1)_1.ser", stack)
    write_ser(tmp_path / "a b (1)_2.ser", stack[:2])
    write_ser(tmp_path / "a b (1)_x.ser", stack[:2])
    with pytest.raises(UemError) as error:
        describe_image(tmp_path / "a b (1).emi")
    assert str(error.value) == (
        f"{tmp_path / 'a b (1).emi'}: has 2 series; name one with `dataset`: a b (1)_1.ser, "
        f"a b (1)_2.ser"
    )
    assert check_stack(tmp_path / "a b (1).emi", stack, "a b (1)_1.ser").pixel_size == (1, 1)
    assert check_stack(tmp_path / "a b (1).emi", stack[:2], "a b (1)_2.ser").pixel_size is None


# ---- faults


def test_frames_that_are_not_beside_it(tmp_path):
    write_emi(tmp_path / "a.emi", ["TEM Image"])
    assert is_image(tmp_path / "a.emi")
    with pytest.raises(UemError, match=r"its frames, a_1\.ser, are not beside it; copy both"):
        describe_image(tmp_path / "a.emi")


def test_spectra_are_refused(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack, kind=SPECTRA)
    with pytest.raises(UemError, match=r"a_1\.ser: holds spectra, not images; leave it out$"):
        describe_image(tmp_path / "a_1.ser")


def test_a_series_without_frames_is_refused(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack, valid=0)
    with pytest.raises(UemError, match=r"no frame of the series was recorded; leave it out$"):
        describe_image(tmp_path / "a_1.ser")


def test_a_map_of_images_is_no_series(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack, scan=(2, 2))
    with pytest.raises(UemError, match=r"images along more than one axis, shape \(2, 2, 24, 32\)"):
        describe_image(tmp_path / "a_1.ser")


def test_complex_values_are_refused(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack.astype(np.complex64))
    with pytest.raises(UemError, match=r"a_1\.ser: holds complex64 values; only integer or real"):
        describe_image(tmp_path / "a_1.ser")


def test_frames_of_two_sizes_are_told_when_read(tmp_path, frame):
    odd = [frame(0)[:, :-1], frame(1)]
    write_ser(tmp_path / "a_1.ser", odd)
    with pytest.raises(
        UemError, match=r"frame 1 is \(24, 32\) uint16, unlike the first; leave it out$"
    ):
        list(read_images(tmp_path / "a_1.ser", [0, 1], (24, 31), "uint16"))


def test_an_unknown_pixel_type_is_told(tmp_path, frame):
    path = write_ser(tmp_path / "a_1.ser", frame(0)[np.newaxis])
    content = bytearray(path.read_bytes())
    place = content.rindex(struct.pack("<HII", 2, 32, 24))
    content[place] = 99
    path.write_bytes(bytes(content))
    with pytest.raises(UemError, match=r"has pixels of unknown type 99; copy it again$"):
        describe_image(path)


def test_a_file_of_one_series_has_no_named_ones(tmp_path, stack):
    write_ser(tmp_path / "a_1.ser", stack)
    with pytest.raises(UemError, match=r"holds one series; leave out the dataset 'b'$"):
        describe_image(tmp_path / "a_1.ser", "b")


# ---- a real pair


def test_a_real_series_is_read_as_rosettasciio_reads_it(real_data):
    rsciio = pytest.importorskip("rsciio.tia")
    emi = real_data("fei_series_rosettasciio", "64x64x5_TEM_preview.emi")
    (theirs,) = rsciio.file_reader(str(emi))
    for path in (emi, emi.with_name("64x64x5_TEM_preview_1.ser")):
        info = check_stack(path, theirs["data"])
        assert info.pixel_size == pytest.approx([axis["scale"] for axis in theirs["axes"][1:]])
        known = info.vendor["ObjectInfo"]["ExperimentalDescription"]
        assert known["Microscope"] == "Microscope Tecnai 200 kV D2267 SuperTwin"
        assert known["High tension"] == "200 kV"

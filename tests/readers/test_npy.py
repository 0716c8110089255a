"""NumPy's own files."""

import numpy as np
import pytest
from written_files import check_stack

from uemdask.errors import UemError
from uemdask.readers import describe_image


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.mark.parametrize("dtype", [">u2", "<u2", "uint8", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_byte_orders_and_axis_orders(tmp_path, stack, dtype, order):
    np.save(tmp_path / "a.npy", np.asarray(stack.astype(dtype), order=order))
    info = check_stack(tmp_path / "a.npy", stack.astype(dtype))
    assert info.no_pixel_size == "a .npy file has no units"


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_image(tmp_path, frame, order):
    np.save(tmp_path / "a.npy", np.asarray(frame(2), order=order))
    check_stack(tmp_path / "a.npy", frame(2)[np.newaxis])


def test_axes_of_length_1_do_not_matter(tmp_path, stack):
    np.save(tmp_path / "a.npy", stack[:, np.newaxis])
    check_stack(tmp_path / "a.npy", stack)


class _Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[_Trap()]]), "cannot be opened as NumPy"),
        (np.zeros((4, 5), complex), "holds complex128 values; only integer or real grey images"),
        (np.zeros((4, 5), bool), "holds bool values; only integer or real grey images"),
        (np.zeros(7), "holds no images but an array of shape (7,); check the file"),
        (np.zeros((3, 2, 4, 5)), "holds images along more than one axis, shape (3, 2, 4, 5)"),
        (np.zeros((2, 0, 5)), "holds no pixels (shape (2, 0, 5)); copy it again"),
    ],
)
def test_what_is_no_series_of_grey_images_is_refused(tmp_path, values, words):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(UemError) as error:
        describe_image(tmp_path / "a.npy")
    assert f"a.npy: {words}" in str(error.value)


def test_a_file_of_one_array_has_no_named_ones(tmp_path, stack):
    np.save(tmp_path / "a.npy", stack)
    with pytest.raises(UemError, match=r"holds one array; leave out the dataset 'b'$"):
        describe_image(tmp_path / "a.npy", "b")

"""Units as instruments write them."""

import numpy as np
import pytest

from uemdask.readers.pixel_size import pixel_size_of, step_of


@pytest.mark.parametrize(
    ("unit", "nm"),
    [
        ("nm", 1),
        (b"nm", 1),
        ("[n_m]", 1),
        (" nm ", 1),
        ("nanometers", 1),
        ("um", 1e3),
        ("µm", 1e3),
        ("μm", 1e3),
        ("\\u00B5m", 1e3),
        ("micron", 1e3),
        ("Microns", 1e3),
        ("micrometer", 1e3),
        ("Å", 0.1),
        ("A", 0.1),
        ("angstrom", 0.1),
        ("pm", 1e-3),
        ("mm", 1e6),
        ("m", 1e9),
        ("meters", 1e9),
    ],
)
def test_units_of_length(unit, nm):
    assert pixel_size_of((2.0, -3.0), (unit, unit)) == (pytest.approx((2 * nm, 3 * nm)), "")


@pytest.mark.parametrize(
    "unit", ["1/nm", "nm^-1", "1 / nm", "nm⁻¹", "10nm", "2 nm", "mrad", "eV", "ps", "%", "nm/s"]
)
def test_what_is_no_unit_of_length(unit):
    assert pixel_size_of((2.0, 2.0), (unit, unit)) == (
        None,
        f"its axes are in {unit}, which is no length",
    )


@pytest.mark.parametrize("unit", ["", None, " ", "pixel", "px", "Pixels", "[]"])
def test_no_unit_is_no_length(unit):
    assert pixel_size_of((2.0, 2.0), (unit, "nm")) == (None, "its axes have no unit of length")


@pytest.mark.parametrize("step", [0.0, float("inf")])
def test_a_step_that_is_no_size(step):
    size, reason = pixel_size_of((step, 1.0), ("nm", "nm"))
    assert size is None
    assert reason.startswith("it states a pixel size of")


def test_the_step_of_an_axis():
    assert step_of(5 - 0.25 * np.arange(9)) == -0.25
    assert step_of(np.float32(1e3) + np.arange(9, dtype=np.float32) / 4) == pytest.approx(0.25)
    assert np.isnan(step_of(np.array([0, 1, 3])))
    assert np.isnan(step_of(np.array([7.0])))

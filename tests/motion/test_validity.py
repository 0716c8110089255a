"""Where a speed means something."""

import numpy as np
import pytest

from uemdask.cube.contract import REASONS
from uemdask.errors import UemError
from uemdask.motion import disagreement, invalid_reason

SHAPE = (6, 8)


def valid_pixels(*arguments, **keywords):
    return invalid_reason(*arguments, **keywords) == 0


def flow(x=3.0, y=0.0):
    field = np.empty((2, *SHAPE), np.float32)
    field[0], field[1] = x, y
    return field


def test_all_is_valid_where_everything_is_right():
    valid = valid_pixels(
        flow(),
        mask=np.ones(SHAPE, bool),
        travel=np.full(SHAPE, 0.95),
        amplitude_to_noise=np.full(SHAPE, 5.0),
        wavelength_px=12.0,
        field_px=(512, 512),
    )
    assert valid.dtype == bool
    assert valid.all()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"lit": np.zeros(SHAPE, bool), "mask": np.zeros(SHAPE, bool)}, "unlit"),
        ({"mask": np.zeros(SHAPE, bool)}, "irrelevant"),
        ({"present": np.zeros(SHAPE, bool)}, "absent"),
        ({"travel": np.full(SHAPE, 0.12)}, "standing"),
        ({"travel": np.full(SHAPE, np.nan)}, "standing"),
        ({"amplitude_to_noise": np.full(SHAPE, 1.0), "travel": np.zeros(SHAPE)}, "absent"),
        ({"amplitude_to_noise": np.full(SHAPE, np.nan)}, "absent"),
        ({"wavelength_px": 7.0}, "ambiguous"),  # 3 px is 0.43 wavelengths
        ({"wavelength_px": np.full(SHAPE, np.nan)}, "too_long"),
        ({"wavelength_px": 1100.0}, "too_long"),  # more than two fields of view
        ({"disagreement": np.full(SHAPE, 0.5)}, "contradicted"),
        ({"disagreement": np.full(SHAPE, np.nan)}, "contradicted"),
    ],
)
def test_one_fault_is_enough_and_the_first_is_told(fault, reason):
    right = {
        "mask": np.ones(SHAPE, bool),
        "travel": np.full(SHAPE, 0.95),
        "amplitude_to_noise": np.full(SHAPE, 5.0),
        "wavelength_px": 12.0,
        "field_px": (512, 512),
    }
    assert valid_pixels(flow(), **right).all()
    assert (invalid_reason(flow(), **(right | fault)) == REASONS.index(reason)).all()


def test_the_field_is_measured_along_the_motion():
    # A strip 1000 px wide and 100 px high: a wave of 300 px fits along x, not along y.
    arguments = {"mask": np.ones(SHAPE, bool), "wavelength_px": 300.0, "field_px": (100, 1000)}
    assert valid_pixels(flow(3.0, 0.0), **arguments).all()
    assert not valid_pixels(flow(0.0, 3.0), **arguments).any()


def test_no_motion_and_missing_flow_are_not_valid():
    assert not valid_pixels(flow(0.0), mask=np.ones(SHAPE, bool)).any()
    assert not valid_pixels(flow(np.nan), mask=np.ones(SHAPE, bool)).any()
    assert not valid_pixels(flow(np.inf), mask=np.ones(SHAPE, bool)).any()


def test_maps_of_the_run_and_of_each_pair_both_work():
    pairs = np.stack([flow(), flow(), flow()])
    noise = np.full((3, *SHAPE), 5.0)
    noise[1] = 0.5
    valid = valid_pixels(
        pairs,
        mask=np.ones(SHAPE, bool),
        travel=np.full(SHAPE, 0.9),
        amplitude_to_noise=noise,
        wavelength_px=np.full(SHAPE, 10.0),
    )
    assert valid.shape == (3, *SHAPE)
    assert valid.all(axis=(1, 2)).tolist() == [True, False, True]


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(UemError, match="mask"):
        valid_pixels(flow(), mask=np.ones((2, 2), bool))


def test_disagreement_is_the_relative_difference_of_local_means():
    rng = np.random.default_rng(0)
    other = np.zeros((2, 48, 64), np.float32)
    other[0] = 4.0
    flow = other.copy()
    flow[:, :, 32:] *= 0.9
    noisy = flow + rng.normal(0, 0.4, flow.shape)  # a tenth of the displacement, pixel by pixel
    found = disagreement(noisy, other, np.ones((48, 64)))
    assert found[:, :20].max() < 0.05
    np.testing.assert_allclose(found[:, 44:], 0.1, atol=0.05)
    # What the other estimate does not know is left out of the means, and NaN where all is.
    trust = np.ones((48, 64))
    trust[:, 32:] = 0
    found = disagreement(flow, other, trust)
    assert np.nanmax(found[:, :32]) < 1e-6
    assert np.isnan(found[:, 56:]).all()


def test_a_flow_that_another_estimate_denies_is_not_valid():
    flow = np.full((2, 2, 4), 3.0)
    off = np.array([[0.0, 0.119, 0.121, np.nan]] * 2)
    valid = valid_pixels(flow, mask=np.ones((2, 4), bool), disagreement=off)
    np.testing.assert_array_equal(valid[0], [True, True, False, False])
    valid = valid_pixels(
        flow, mask=np.ones((2, 4), bool), disagreement=off, disagreement_limit=0.15
    )
    np.testing.assert_array_equal(valid[0], [True, True, True, False])

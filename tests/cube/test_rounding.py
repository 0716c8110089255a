"""Lossy rounding keeps its promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from uemdask.errors import UemError
from uemdask.motion import round_flow, round_mantissa

FLOWS = hnp.arrays(np.float32, 20, elements=st.floats(-200, 200, width=32) | st.just(float("nan")))


@settings(deadline=None)
@given(FLOWS, st.sampled_from([1 / 128, 1 / 256, 0.01, 0.25]))
def test_flow_is_off_by_half_a_step_at_most_and_stays_when_rounded_again(flow, step):
    rounded = round_flow(flow, step)
    known = np.isfinite(flow)
    assert (np.isnan(rounded) == np.isnan(flow)).all()
    assert (np.abs(rounded - flow)[known] <= step / 2 * 1.01 + 2e-5).all()
    np.testing.assert_array_equal(round_flow(rounded, step), rounded)


def test_default_step_gives_exact_multiples_and_keeps_infinity():
    rounded = round_flow(np.array([0.1, -3.3, np.inf, -np.inf]))
    np.testing.assert_array_equal(rounded[:2] * 128, np.rint(rounded[:2] * 128))
    assert np.isposinf(rounded[2])
    assert np.isneginf(rounded[3])
    assert not np.signbit(round_flow(np.array([-0.001])))[0]


@settings(deadline=None)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(data=st.data(), bits=st.integers(1, 60))
def test_mantissa_error_bound_and_idempotence(dtype, data, bits):
    width = np.dtype(dtype).itemsize * 8
    array = data.draw(
        hnp.arrays(
            dtype, 12, elements=st.floats(width=width, allow_nan=True, allow_subnormal=False)
        )
    )
    rounded = round_mantissa(array, bits)
    assert rounded.dtype == dtype
    np.testing.assert_array_equal(np.isnan(rounded), np.isnan(array))
    np.testing.assert_array_equal(np.isinf(rounded), np.isinf(array))
    known = np.isfinite(array) & (array != 0)
    kept = min(bits, np.finfo(dtype).nmant)
    wide, exact = rounded[known].astype(np.longdouble), array[known].astype(np.longdouble)
    overflows = np.abs(exact) > np.finfo(dtype).max * (1 - 2.0**-2)
    assert (np.abs(wide / exact - 1)[~overflows] <= 2.0 ** -(kept + 1)).all()
    np.testing.assert_array_equal(round_mantissa(rounded, bits), rounded)


def test_dropped_bits_are_zero():
    array = np.random.default_rng(0).normal(size=100).astype(np.float32)
    assert not (round_mantissa(array, 10).view(np.uint32) & np.uint32((1 << 13) - 1)).any()


def test_rounding_is_not_biased():
    array = np.random.default_rng(0).uniform(1, 2, 200_000).astype(np.float32)
    assert abs(float((round_mantissa(array, 7) - array).mean(dtype=float))) < 2e-5


def test_unusable_input_is_refused():
    with pytest.raises(UemError, match="step"):
        round_flow(np.zeros(2), 0.0)
    with pytest.raises(UemError, match="bits"):
        round_mantissa(np.zeros(2), 0)
    with pytest.raises(UemError, match="int64"):
        round_mantissa(np.zeros(2, np.int64), 3)

"""Repeats of an image: averaged exactly, brought onto each other, freed of what only one shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.align import average_repeats, sample_shifted
from uemdask.align.outlier_rejection import measure_repeat_noise, outliers
from uemdask.errors import UemError
from uemdask.simulate import scenario, simulate


@pytest.fixture(scope="module")
def expected():
    """A frame without noise, with room around it."""
    return simulate(scenario("plane", shape=(112, 112), frames=12, hot_pixels=0)).expected(5)


def noisy(expected, count, seed=0, quantum=1.0, read_noise=2.0):
    random = np.random.default_rng(seed)
    return [
        np.rint(
            quantum * random.poisson(expected / quantum)
            + random.normal(0, read_noise, expected.shape)
        )
        .clip(0, 65535)
        .astype(np.uint16)
        for _ in range(count)
    ]


def mean_of(repeats):
    return np.stack(repeats).astype(np.float64).mean(axis=0).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_steady_repeats_average_to_the_last_bit(expected, count):
    repeats = noisy(expected, count)
    average = average_repeats(repeats)
    assert average.image.dtype == np.float32
    np.testing.assert_array_equal(average.image, mean_of(repeats))
    assert average.left_out == ("",) * count
    assert not average.shift.any()
    assert average.outliers == 0


@settings(max_examples=25, deadline=None)
@given(
    level=st.floats(0.5, 2000),
    quantum=st.sampled_from([0.2, 1.0, 8.0]),
    read_noise=st.sampled_from([0.0, 1.0, 5.0]),
    count=st.integers(3, 6),
    seed=st.integers(0, 2**16),
)
def test_good_pixels_are_kept_whatever_the_noise(level, quantum, read_noise, count, seed):
    # Brightness over a factor of 20 in one image.
    shape = (64, 64)
    truth = level * np.linspace(0.1, 2.0, shape[1])[None, :].repeat(shape[0], axis=0)
    repeats = noisy(truth, count, seed, quantum, read_noise)
    average = average_repeats(repeats, register=False)
    plain = mean_of(repeats)
    assert average.left_out == ("",) * count
    # Not one value in ten thousand is lost, so the bias is far below the noise of the average.
    assert average.outliers <= 1
    noise = np.sqrt((quantum * truth + read_noise**2 + 0.1) / count)
    assert abs(float((average.image - plain).mean())) < 0.002 * float(noise.mean())


@pytest.mark.parametrize("count", [3, 4, 6])
def test_cosmic_rays_are_left_out_and_only_they(expected, count):
    repeats = noisy(expected, count)
    clean = mean_of(repeats)
    spots = [(0, 10, 20), (1, 50, 51), (1, 50, 52), (2, 111, 111), (2, 0, 0)]
    for i, y, x in spots:
        repeats[i][y, x] = 9000
    average = average_repeats(repeats)
    assert average.outliers == len(spots)
    touched = np.zeros(clean.shape, bool)
    for _, y, x in spots:
        touched[y, x] = True
    np.testing.assert_array_equal(average.image[~touched], clean[~touched])
    # What is left there is the mean of the others, within their noise.
    sd = np.sqrt(expected / (count - 1))
    assert (np.abs(average.image - expected)[touched] < 5 * sd[touched]).all()


def test_two_repeats_cannot_vote(expected):
    repeats = noisy(expected, 2)
    repeats[0][30, 30] = 9000
    average = average_repeats(repeats)
    assert average.outliers == 0
    np.testing.assert_array_equal(average.image, mean_of(repeats))


def test_hot_pixels_are_not_cosmic_rays(expected):
    repeats = noisy(expected, 3)
    for repeat in repeats:
        repeat[40, 41] = 20000
    average = average_repeats(repeats)
    assert average.outliers == 0
    assert average.image[40, 41] == 20000


def test_the_order_of_the_repeats_changes_nothing(expected):
    repeats = noisy(expected, 4)
    repeats[2][7, 8] = 9000
    first = average_repeats(repeats).image
    np.testing.assert_array_equal(average_repeats(repeats[::-1]).image, first)


@pytest.mark.parametrize("dark", [False, True])
def test_repeats_that_moved_are_brought_onto_the_first(expected, dark):
    shifts = [(0.0, 0.0), (3.4, -2.3), (-1.7, 4.6)]
    level = np.zeros(expected.shape, np.float32)
    if dark:  # a pattern that stands still on the detector
        level += 40 * (np.arange(expected.shape[1]) % 7 == 0).astype(np.float32)
    frames = [sample_shifted(expected, (-x, -y))[0] + level for x, y in shifts]
    repeats = [noisy(frame, 1, seed)[0] for seed, frame in enumerate(frames)]
    for repeat in repeats:
        repeat[30, 31] = 30000  # and so does a hot pixel
    average = average_repeats(repeats, dark=level if dark else None)
    np.testing.assert_allclose(average.shift, shifts, atol=0.15)
    assert average.left_out == ("", "", "")
    inner = (slice(8, -8), slice(8, -8))
    error = (average.image - expected - level)[inner]
    one = (repeats[0] - expected - level)[inner]
    usual = np.abs(error) < 6 * np.sqrt(expected[inner])
    assert usual.all()  # no trail of the hot pixel
    assert error.std() < 0.7 * np.delete(one.ravel(), one.argmax()).std()
    # Where only the first has data its own noise is left, and nothing else.
    edge = (average.image - expected - level)[0]
    assert np.abs(edge).max() < 6 * np.sqrt(expected[0].max())


def test_a_repeat_of_another_place_is_left_out_as_a_whole(expected):
    repeats = noisy(expected, 4)
    elsewhere = np.rot90(expected, 2) * np.linspace(0.6, 1.4, expected.shape[1])
    repeats[1] = noisy(elsewhere, 1, 9)[0]
    average = average_repeats(repeats)
    assert "differs from the other repeats" in average.left_out[1]
    assert [bool(reason) for reason in average.left_out] == [False, True, False, False]
    np.testing.assert_array_equal(average.image, mean_of([repeats[0], repeats[2], repeats[3]]))


def test_a_repeat_with_the_beam_almost_off_is_left_out(expected):
    repeats = noisy(expected, 3)
    repeats[0] = noisy(0.1 * expected, 1, 9)[0]
    average = average_repeats(repeats, register=False)
    assert "times as bright as the other repeats" in average.left_out[0]
    np.testing.assert_array_equal(average.image, mean_of(repeats[1:]))


def test_a_beam_that_jitters_loses_no_value(expected):
    repeats = [noisy(gain * expected, 1, seed)[0] for seed, gain in enumerate((0.8, 1.0, 1.25))]
    average = average_repeats(repeats)
    assert average.outliers == 0
    np.testing.assert_array_equal(average.image, mean_of(repeats))


def test_pixels_that_are_not_finite_are_left_out(expected):
    repeats = [repeat.astype(np.float32) for repeat in noisy(expected, 3)]
    repeats[1][5, 6] = np.nan
    repeats[2][5, 7] = np.inf
    for repeat in repeats:
        repeat[9, 9] = np.nan
    average = average_repeats(repeats)
    both = 0.5 * (repeats[0][5, 6] + repeats[2][5, 6])
    assert average.image[5, 6] == pytest.approx(both, rel=1e-2)
    assert np.isfinite(average.image[5, 7])
    assert np.isnan(average.image[9, 9])
    assert np.isnan(average.image).sum() == 1


def test_large_counts_are_not_rounded_before_the_average():
    repeats = [np.full((32, 32), 2**24 + i, np.uint32) for i in (1, 3, 5)]
    expected = np.float32(2**24 + 3)
    assert float(average_repeats(repeats).image[0, 0]) == expected


def test_nothing_to_average_and_two_sizes_are_refused():
    with pytest.raises(UemError, match="none to average"):
        average_repeats([])
    with pytest.raises(UemError, match="one size"):
        average_repeats([np.zeros((8, 8)), np.zeros((8, 9))])


def test_noise_is_measured_above_a_dark_level():
    truth = np.linspace(20, 4000, 256)[None].repeat(64, axis=0)
    repeats = np.stack([100.0 + repeat for repeat in noisy(truth, 3, quantum=4.0, read_noise=6.0)])
    noise = measure_repeat_noise(repeats)
    counts = np.array([300.0, 1100.0, 4100.0])
    wanted = np.sqrt(4 * (counts - 100) + 36)
    np.testing.assert_allclose(noise.deviation(counts), wanted, rtol=0.15)


def test_an_edge_that_is_not_aligned_to_the_last_digit_is_no_outlier():
    x = np.arange(64)
    random = np.random.default_rng(0)
    repeats = np.stack(
        [
            random.poisson(1000 + 900 * np.tanh((x - 32 - 0.4 * i) / 1.5)[None].repeat(64, axis=0))
            for i in range(3)
        ]
    ).astype(float)
    assert not outliers(repeats, measure_repeat_noise(repeats)).any()

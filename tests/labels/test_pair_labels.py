"""Labels of frame pairs: the wave's own displacement, and an honest confidence."""

import numpy as np
import pytest
from scipy import ndimage

from uemdask.errors import UemError
from uemdask.labels import label_pairs, project_on_normal, refine_along_normal, wave_normal

INNER = np.s_[20:-20, 20:-20]


def noise(shape, level, rng):
    image = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    return level * image / image.std()


def plane_wave(displacements, *, wavelength, angle=0.4, shape=(160, 160), level=0.2, seed=0):
    """Plane wave of amplitude 1; angle in rad from +x towards +y (down); noise smoothed 2 px."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    along = np.cos(angle) * x + np.sin(angle) * y
    frames = [
        np.cos(2 * np.pi * (along - d) / wavelength) + noise(shape, level, rng)
        for d in displacements
    ]
    return np.stack(frames).astype(np.float32), np.array([np.cos(angle), np.sin(angle)])


def relative_error(label, normal, displacement):
    left = label - displacement * normal[:, None, None]
    return np.hypot(*left)[INNER].mean() / abs(displacement)


@pytest.mark.parametrize("method", ["dis", "farneback"])
@pytest.mark.parametrize(
    ("wavelength", "displacement", "angle"),
    [(12, 3.0, 0.4), (24, 5.0, -1.1), (48, 15.0, 2.5), (48, 4.0, 0.0), (70, 20.0, 1.57)],
)
def test_a_noisy_plane_wave_is_labelled_within_a_tenth(method, wavelength, displacement, angle):
    wave, normal = plane_wave([0.0, displacement], wavelength=wavelength, angle=angle)
    label, _ = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=wavelength, method=method)
    assert relative_error(label[0], normal, displacement) < 0.11


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, 0.4])
def test_a_noise_free_wave_is_labelled_whatever_its_direction(angle):
    # OpenCV alone fails here: straight fronts make its structure matrix singular.
    wave, normal = plane_wave([0.0, 6.0], wavelength=30, angle=angle, level=0.0001)
    label, _ = label_pairs(wave, [(0, 1)], scale=1.0, wavelength=30.0)
    assert relative_error(label[0], normal, 6.0) < 0.05


def test_keeping_the_normal_component_takes_away_most_of_the_error():
    wave, normal = plane_wave([0.0, 8.0], wavelength=40)
    kept, _ = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=40.0)
    whole, _ = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=40.0, normal_only=False)
    assert 4 * relative_error(kept[0], normal, 8.0) < relative_error(whole[0], normal, 8.0)


def test_rings_spread_outwards():
    y, x = np.mgrid[-80:80, -80:80].astype(float)
    radius = np.hypot(x, y)
    rng = np.random.default_rng(0)
    wave = np.stack(
        [np.cos(2 * np.pi * (radius - d) / 24) + noise(x.shape, 0.1, rng) for d in (0, 5.0)]
    ).astype(np.float32)
    label, confidence = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=24.0)
    outside = (radius > 30) & (radius < 60)
    outwards = (label[0, 0] * x + label[0, 1] * y) / np.maximum(radius, 1)
    assert outwards[outside].mean() == pytest.approx(5.0, rel=0.05)
    assert confidence[0][outside].mean() > 0.5


def test_swapping_the_frames_reverses_the_label():
    wave, _ = plane_wave([0.0, 5.0], wavelength=30)
    label, _ = label_pairs(wave, [(0, 1), (1, 0)], scale=1.5, wavelength=30.0)
    assert np.abs(label[0] + label[1])[:, 20:-20, 20:-20].mean() < 0.3


def test_confidence_is_high_on_a_clean_wave_and_low_where_there_is_only_noise():
    wave, _ = plane_wave([0.0, 5.0], wavelength=30, level=0.05)
    rng = np.random.default_rng(5)
    wave[:, :, 80:] = np.stack([noise((160, 80), 0.3, rng) for _ in range(2)])
    _, confidence = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=30.0)
    assert confidence.min() >= 0
    assert confidence.max() <= 1
    assert np.median(confidence[0, 20:-20, 20:60]) > 0.8
    assert np.median(confidence[0, 20:-20, 100:-20]) < 0.2


def test_confidence_orders_the_errors():
    wave, normal = plane_wave([0.0, 5.0], wavelength=30, level=0.05)
    ramp = np.linspace(0, 1, 160)[None, :]
    rng = np.random.default_rng(3)
    wave += np.stack([noise((160, 160), 0.8, rng) * ramp for _ in range(2)]).astype(np.float32)
    label, confidence = label_pairs(wave, [(0, 1)], scale=2.0, wavelength=30.0)
    error = np.hypot(*(label[0] - 5 * normal[:, None, None]))[INNER].ravel()
    trust = confidence[0][INNER].ravel()
    low, high = np.quantile(trust, (0.2, 0.8))
    assert error[trust >= high].mean() < 0.3 * error[trust <= low].mean()


def test_noise_stated_by_the_caller_lowers_confidence():
    wave, _ = plane_wave([0.0, 5.0], wavelength=30, level=0.0)
    free = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=30.0)[1]
    noisy = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=30.0, noise=0.6)[1]
    # Mean square of the wave is 0.5, of the noise 0.36: a share of 0.28 remains.
    assert np.median(noisy[0][INNER]) == pytest.approx(0.28 * np.median(free[0][INNER]), rel=0.1)


def test_a_standing_wave_through_its_node_is_not_trusted():
    # Amplitude changes, position does not: no displacement explains the second frame.
    x = np.tile(np.arange(160.0), (160, 1))
    pattern = np.sin(2 * np.pi * x / 30)
    wave = np.stack([pattern, -0.6 * pattern]).astype(np.float32)
    _, confidence = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=30.0)
    assert np.median(confidence[0][INNER]) < 0.3


def test_pixels_that_are_not_finite_get_no_label_and_do_not_spoil_others():
    wave, normal = plane_wave([0.0, 5.0], wavelength=30, level=0.05)
    wave[1, 60:64, 60:64] = np.nan
    label, confidence = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=30.0)
    assert np.isfinite(label).all()
    assert np.isfinite(confidence).all()
    assert not label[0, :, 60:64, 60:64].any()
    assert not confidence[0, 60:64, 60:64].any()
    far = label[0][:, 100:140, 100:140] - 5 * normal[:, None, None]
    assert np.hypot(*far).mean() < 0.5


def test_each_pair_may_have_its_own_wavelength():
    wave, normal = plane_wave([0.0, 3.0, 6.0], wavelength=20)
    label, confidence = label_pairs(wave, [(0, 1), (0, 2)], scale=1.5, wavelength=[20.0, 20.0])
    assert label.shape == (2, 2, 160, 160)
    assert confidence.shape == (2, 160, 160)
    assert relative_error(label[0], normal, 3.0) < 0.11
    assert relative_error(label[1], normal, 6.0) < 0.11


def test_a_displacement_of_half_a_wavelength_is_never_trusted():
    wave, _ = plane_wave([0.0, 15.0], wavelength=30, level=0.02)
    _, confidence = label_pairs(wave, [(0, 1)], scale=1.5, wavelength=30.0)
    assert np.median(confidence[0][INNER]) < 0.1


def test_pairs_outside_the_slab_and_wrong_numbers_are_refused():
    wave = np.zeros((2, 32, 32), np.float32)
    with pytest.raises(UemError, match="frames 0 to 1"):
        label_pairs(wave, [(1, 2)], scale=1.0)
    with pytest.raises(UemError, match="2 values for 1 pairs"):
        label_pairs(wave, [(0, 1)], scale=1.0, wavelength=[10.0, 20.0])


def test_no_pairs_give_no_labels():
    label, confidence = label_pairs(np.zeros((2, 32, 32), np.float32), [], scale=1.0)
    assert label.shape == (0, 2, 32, 32)
    assert confidence.shape == (0, 32, 32)


def test_anisotropy_tells_straight_fronts_from_crossing_ones():
    y, x = np.mgrid[:96, :96]
    one = np.sin(2 * np.pi * x / 16)
    both = one + np.sin(2 * np.pi * y / 16)
    assert wave_normal(one, one, wavelength=16.0)[1][48, 48] > 0.99
    assert wave_normal(both, both, wavelength=16.0)[1][48, 48] < 0.1


def test_projection_does_not_depend_on_the_sign_of_the_normal():
    rng = np.random.default_rng(0)
    flow = rng.normal(size=(2, 8, 8))
    angle = rng.uniform(0, 7, size=(8, 8))
    normal = np.stack([np.cos(angle), np.sin(angle)])
    kept = project_on_normal(flow, normal)
    np.testing.assert_allclose(kept, project_on_normal(flow, -normal), atol=1e-6)
    np.testing.assert_allclose(kept, project_on_normal(kept, normal), atol=1e-6)


@pytest.mark.parametrize("share", [-0.3, -0.1, 0.1, 0.3])
def test_refinement_converges_from_zero_within_a_third_of_a_wavelength(share):
    wave, normal = plane_wave([0.0, share * 40], wavelength=40, angle=0.0, level=0.0)
    field = np.broadcast_to(normal[:, None, None], (2, 160, 160))
    flow = refine_along_normal(
        wave[0], wave[1], np.zeros((2, 160, 160)), field, wavelength=40.0, iterations=6
    )
    assert relative_error(flow, normal, share * 40) < 0.02

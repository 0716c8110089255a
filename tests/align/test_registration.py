"""Drift: its sign, its error, and what must not be taken for it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uemdask.align import Registrar, sample_shifted
from uemdask.errors import UemError


def reference_of(scene, frames=6, **options):
    return np.mean([scene.frame(**options) for _ in range(frames)], axis=0)


def errors(scene, registrar, drifts, **options):
    out = []
    for i, drift in enumerate(drifts):
        found = registrar.drift(scene.frame(drift, phase=1.1 * i, **options))
        assert not found.failed
        out.append((found.x - drift[0], found.y - drift[1]))
    return np.array(out)


def test_sign_frame_at_r_plus_drift_is_reference_at_r(make_scene):
    scene = make_scene(128, seed=0)
    reference, frame = scene.frame(noise=False), scene.frame((3.4, -1.7), noise=False)
    drift = Registrar(reference).drift(frame)
    assert (drift.x, drift.y) == pytest.approx((3.4, -1.7), abs=0.02)
    back, covered = sample_shifted(frame, (drift.x, drift.y))
    inner = np.s_[10:-10, 10:-10]
    assert covered[inner].all()
    assert np.abs(back - reference)[inner].max() < 0.02 * reference.mean()


@pytest.mark.parametrize(("counts", "limit"), [(30.0, 0.1), (300.0, 0.03), (1000.0, 0.02)])
def test_error_with_counting_noise(make_scene, counts, limit):
    scene = make_scene(256, seed=1)
    registrar = Registrar(reference_of(scene, counts=counts))
    drifts = scene.random.uniform(-4, 4, (6, 2))
    found = errors(scene, registrar, drifts, counts=counts)
    assert np.sqrt(np.mean(found**2)) < limit


def test_jumps_darkening_and_moving_fronts_together(make_scene):
    scene = make_scene(256, seed=2)
    registrar = Registrar(reference_of(scene))
    drifts = [(11.3, -12.6), (-14.2, 3.1), (10.5, 10.5), (-0.4, 0.2), (0.3, -17.0)]
    for wavelength in (12.0, 40.0, 160.0):
        found = errors(
            scene, registrar, drifts, gain=0.8, wave=0.2, front=True, wavelength=wavelength
        )
        assert np.sqrt(np.mean(found**2)) < 0.05


def test_moving_contours_are_not_drift(make_scene):
    scene = make_scene(256, seed=3)
    registrar = Registrar(reference_of(scene))
    for contour in (1.0, 4.0, 10.0):
        found = errors(scene, registrar, [(0.0, 0.0), (2.3, -1.1)], contour=contour)
        assert np.abs(found).max() < 0.1


def test_small_frames(make_scene):
    scene = make_scene(32, seed=4, texture=0.2)
    registrar = Registrar(reference_of(scene, counts=1000.0))
    found = errors(scene, registrar, scene.random.uniform(-2, 2, (6, 2)), counts=1000.0)
    assert np.sqrt(np.mean(found**2)) < 0.15


def test_large_frames_are_correlated_small_and_fitted_at_full_resolution(make_scene):
    scene = make_scene(448, seed=5)
    registrar = Registrar(reference_of(scene, frames=2), largest=160)
    found = errors(scene, registrar, [(8.3, -5.6), (-0.2, 0.4)])
    assert np.abs(found).max() < 0.05


def test_a_frame_that_is_not_square(make_scene):
    scene = make_scene(256, seed=6)
    registrar = Registrar(reference_of(scene)[:150, :231])
    found = registrar.drift(scene.frame((4.2, 1.9))[:150, :231])
    assert (found.x, found.y) == pytest.approx((4.2, 1.9), abs=0.06)


def test_stated_error_grows_with_noise(make_scene):
    scene = make_scene(128, seed=7)
    stated = []
    for counts in (20.0, 200.0, 2000.0):
        registrar = Registrar(reference_of(scene, counts=counts))
        found = registrar.drift(scene.frame((0.6, 0.6), counts=counts))
        stated.append(found.error)
        assert found.quality == pytest.approx(1 / (1 + (found.error / 0.1) ** 2))
    assert stated[0] > stated[1] > stated[2]


def test_a_smooth_image_fails_and_says_so():
    y, x = np.mgrid[:128, :128].astype(float)
    smooth = 100 + 30 * np.exp(-((x - 60) ** 2 + (y - 70) ** 2) / 4000)
    random = np.random.default_rng(8)
    registrar = Registrar(random.poisson(smooth * 6) / 6)
    found = [registrar.drift(random.poisson(smooth).astype(float)) for _ in range(10)]
    assert all(drift.failed for drift in found)
    assert all((drift.x, drift.y, drift.error) == (0, 0, np.inf) for drift in found)


def test_a_wave_alone_is_not_drift():
    """A wave runs over a smooth bright spot: nothing marks the sample, nothing may be reported."""
    y, x = np.mgrid[:96, :96].astype(float)
    spot = 200 * np.exp(-((x - 48) ** 2 + (y - 48) ** 2) / 3000) + 50
    random = np.random.default_rng(9)
    registrar = Registrar(random.poisson(spot * 6) / 6)
    for phase in np.arange(0, 6, 0.5):
        wave = 1 + 0.1 * np.sin(x / 5 - phase)
        drift = registrar.drift(random.poisson(spot * wave).astype(float))
        assert drift.failed


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.full((64, 64), 9.0)])
def test_blank_frames_and_references_fail(make_scene, image):
    frame = make_scene(64, seed=10).frame()
    assert Registrar(frame).drift(image).failed
    assert Registrar(image).drift(frame).failed
    assert Registrar(frame).drift(np.full((64, 64), np.nan)).failed
    assert Registrar(frame[:8, :8]).drift(frame[:8, :8]).failed


def test_another_sample_fails(make_scene):
    registrar = Registrar(make_scene(128, seed=11).frame())
    random = np.random.default_rng(12)
    other = cv2.GaussianBlur(random.random((128, 128), np.float32), (0, 0), 2.0)
    other = random.poisson(100 * other / other.mean())
    assert registrar.drift(other).failed


def test_shapes_must_agree(make_scene):
    frame = make_scene(64, seed=13).frame()
    with pytest.raises(UemError, match="does not match the reference"):
        Registrar(frame).drift(frame[:, :-1])
    with pytest.raises(UemError, match="two-dimensional"):
        Registrar(frame[None])
    with pytest.raises(UemError, match="not finite"):
        Registrar(np.full((32, 32), np.nan))

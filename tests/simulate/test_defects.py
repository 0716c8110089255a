"""Defects keep the light away where they should, and leave the rest of the frames as it was."""

import dataclasses

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from uemdask.errors import FaultsError
from uemdask.simulate import Defects, scenario, simulate
from uemdask_cli.simulate import simulate as simulate_command

QUIET = {"gain_jitter": 0.0, "brightness_drift": 0.0, "texture": 0.0, "contour_range": (1.0, 1.0)}


def with_defects(shape=(96, 120), frames=16, seed=3, **defects):
    chosen = scenario("plane", seed=seed, shape=shape, frames=frames, defects=Defects(**defects))
    return simulate(chosen)


def test_without_defects_all_is_lit_and_light_passes_unchanged():
    plain = with_defects()
    assert plain.lit.all()
    beam = with_defects(beam_profile=1.0, beam_wander=5.0)
    np.testing.assert_array_equal(plain.frame(9), beam.frame(9))


@pytest.mark.parametrize(
    "defects",
    [{"aperture": 0.8}, {"bar": 12.0}, {"shadow": 0.3}],
    ids=["aperture", "bar", "shadow"],
)
@pytest.mark.parametrize("level", [0.0, 0.7, 8.0])
def test_dark_places_hold_the_stray_light_alone(defects, level):
    clean = with_defects()
    dark = with_defects(**defects, dark_level=level)
    counts, before = dark.expected(12), clean.expected(12)
    lowest = counts.min()
    assert lowest == pytest.approx(level, abs=0.5)
    # Most of the frame is as it was.
    same = np.abs(counts - before) < 1e-3 * before
    assert 0.25 < same.mean() < 0.95
    # The wave has no say where there is no light.
    assert not dark.lit.all()
    assert dark.lit[same].mean() > 0.95


def test_the_aperture_stands_still_while_the_specimen_drifts():
    moved = with_defects(aperture=0.7)
    assert np.hypot(*moved.drift.T).max() > 3
    outside = [moved.expected(i) < 1.0 for i in (0, 15)]
    # A drift of 3 px would change 3 % of the pixels.
    assert (outside[0] != outside[1]).mean() < 0.005


def test_the_bar_moves_with_the_specimen():
    chosen = scenario("no_wave", seed=3, shape=(96, 96), frames=60, contour_shift=0.0, **QUIET)
    bar = simulate(dataclasses.replace(chosen, defects=Defects(bar=14.0)))
    angle = bar._shade.bar[0]
    along = bar.drift @ [np.cos(angle), np.sin(angle)]
    y, x = np.indices((96, 96))
    across = np.sin(angle) * y + np.cos(angle) * x
    first, second = np.argmin(along), np.argmax(along)
    places = []
    for i in (first, second):
        frame = bar.expected(i).astype(float)
        dark = np.maximum(0.5 - frame / frame.max(), 0.0)
        places.append((dark * across).sum() / dark.sum())
    assert along[second] - along[first] > 2
    # Specks and the ends of the bar at the edge of the frame pull a little.
    assert places[1] - places[0] == pytest.approx(along[second] - along[first], rel=0.1)


def test_the_beam_falls_to_its_share_at_the_corners_and_wanders():
    chosen = scenario("no_wave", shape=(128, 128), frames=30, drift_total=0.0, **QUIET)
    chosen = dataclasses.replace(
        chosen, contour_shift=0.0, contour_darkening=0.0, defects=Defects(beam_profile=0.03)
    )
    still, wandering = (
        simulate(dataclasses.replace(chosen, defects=Defects(beam_profile=0.03, beam_wander=w)))
        for w in (0.0, 6.0)
    )
    frame = still.expected(0).astype(float)
    corners = frame[[0, 0, -1, -1], [0, -1, 0, -1]]
    # The beam lies a little off the middle, so corners differ about the share.
    assert np.exp(np.log(corners / frame.max()).mean()) == pytest.approx(0.03, rel=0.2)
    y, x = np.indices(frame.shape) - 63.5
    inner = (slice(32, 96), slice(32, 96))
    for i in (3, 20):
        ratio = np.log(wandering.expected(i) / still.expected(i))[inner].ravel()
        basis = np.stack([x[inner].ravel(), y[inner].ravel(), np.ones(ratio.size)], axis=1)
        slope = np.linalg.lstsq(basis, ratio, rcond=None)[0][:2]
        steep = -np.log(0.03) / (128**2 / 2)
        np.testing.assert_allclose(slope / (2 * steep), wandering._wander[i], atol=0.3)
    assert np.hypot(*wandering._wander.T).max() == pytest.approx(6.0)
    # 3 % of the light is dim, not dark.
    assert still.lit.all()


def test_dead_lines_and_blocks_see_nothing_in_any_frame():
    dead = with_defects(dead_columns=(0, 40, 41, -1), dead_rows=(7,), dead_block=12)
    frames = np.stack([dead.frame(i) for i in range(len(dead))])
    zero = (frames == 0).all(axis=0)
    assert zero[:, [0, 40, 41, 119]].all()
    assert zero[7].all()
    rest = np.delete(np.delete(zero, [0, 40, 41, 119], axis=1), 7, axis=0)
    assert 100 < rest.sum() <= 144
    np.testing.assert_array_equal(zero, dead.expected(0) == 0)


def test_what_drifts_over_a_dead_column_is_lit_while_it_is_seen():
    dead = with_defects(dead_columns=(40, 41))
    lost = np.flatnonzero(~dead.lit.all(axis=0))
    assert len(lost) <= 4
    if lost.size:
        assert np.abs(lost + np.median(dead.drift[:, 0]) - 40.5).max() < 3


def test_x_rays_hit_their_share_of_single_pixels_elsewhere_in_each_frame():
    clean, hit = with_defects(), with_defects(x_rays=0.01)
    hits = [hit.frame(i).astype(int) - clean.frame(i) for i in (4, 5)]
    for extra in hits:
        assert (extra > 0).mean() == pytest.approx(0.01, abs=0.003)
        assert extra.min() == 0
        assert np.median(extra[extra > 0]) > 500
    assert ((hits[0] > 0) & (hits[1] > 0)).mean() < 0.002


def test_the_pedestal_stays_in_the_frames():
    clean, raised = with_defects(), with_defects(offset=100.0, dead_columns=(5,))
    extra = raised.frame(3).astype(int) - clean.frame(3)
    assert (np.delete(extra, 5, axis=1) == 100).all()
    assert (raised.frame(3)[:, 5] == 100).all()


def test_frames_moved_back_have_margins_without_data():
    recorded, moved = with_defects(frames=60), with_defects(frames=60, nan_margin=True)
    i = 59
    dx, dy = np.rint(recorded.drift[i]).astype(int)
    assert dx != 0 or dy != 0
    frame, raw = moved.frame(i), recorded.frame(i)
    assert frame.dtype == np.float32
    known = np.isfinite(frame)
    y, x = np.nonzero(known)
    np.testing.assert_array_equal(frame[known], raw[y + dy, x + dx])
    assert known.sum() == (96 - abs(dy)) * (120 - abs(dx))
    left = moved.truth().drift
    assert np.abs(left).max() <= 1
    np.testing.assert_allclose(left[moved.delays < 0].mean(axis=0), 0, atol=1e-12)


def test_all_faults_are_named_at_once():
    with pytest.raises(FaultsError, match=r"(?s)bar: -1.*beam_profile: 0.*x_rays: 0\.02"):
        Defects(bar=-1.0, beam_profile=0.0, x_rays=0.02)
    with pytest.raises(FaultsError, match=r"dead_columns: 96 .* numbers from -96 to 95"):
        scenario("plane", shape=(64, 96), defects=Defects(dead_columns=(95, 96)))
    with pytest.raises(FaultsError, match=r"dead_block: 65 .* at most 64 px"):
        scenario("plane", shape=(64, 96), defects=Defects(dead_block=65))


def test_the_command_takes_defects(tmp_path):
    options = ["--size", "64", "--frames", "4", "--dead-columns", "3,-1", "--offset", "50"]
    command = CliRunner().invoke(simulate_command, ["plane", str(tmp_path / "raw"), *options])
    assert command.exit_code == 0, command.output
    frame = tifffile.imread(tmp_path / "raw" / "frame_0001.tif")
    assert (frame[:, [3, 63]] == 50).all()
    assert (frame[:, 4:63] > 50).all()
    wrong = CliRunner().invoke(simulate_command, ["plane", "new", "--dead-columns", "3;4"])
    assert wrong.exit_code == 2
    assert "'3;4' was found; give numbers such as 40,41,-1" in wrong.output

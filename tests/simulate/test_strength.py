"""Where and when the wave is: packets, waves that have not come yet, contrast that reverses."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from uemdask.simulate import scenario, simulate

QUIET = {"drift_total": 0.0, "gain_jitter": 0.0, "brightness_drift": 0.0}


def test_strength_is_the_amplitude_of_the_wave_of_its_full_one():
    acquisition = simulate(scenario("plane", shape=(48, 48), frames=30))
    truth = acquisition.truth()
    assert truth.strength.dtype == np.float16
    for i in (0, 10, 25):
        np.testing.assert_allclose(
            truth.strength[i], acquisition.wave_strength(i) / 0.08, atol=1e-3
        )
    assert truth.strength[:8].max() == 0.0
    assert truth.strength.max() == pytest.approx(1.0, abs=0.01)


def test_a_packet_runs_slower_than_its_crests():
    acquisition = simulate(scenario("wave_packet", shape=(128, 128), angle=0.0))
    x = (np.arange(128) - 63.5) * 3.0
    late = [i for i, t in enumerate(acquisition.delays) if 100 <= t <= 200]
    middle = [(s * x).sum() / s.sum() for s in (acquisition.wave_strength(i)[64] for i in late)]
    group = np.polyfit(acquisition.delays[late], middle, 1)[0]
    # The packet reaches beyond the frame a little, so its middle in view is pulled inwards.
    assert group == pytest.approx(1.2, rel=0.15)
    flow = acquisition.flow(late[0])
    np.testing.assert_allclose(flow[0] * 3.0 / 5.0, 1.944, rtol=1e-4)
    strength = acquisition.truth().strength.astype(float)
    middle_pixel = strength[:, 64, 64]
    assert middle_pixel.max() > 0.5
    assert middle_pixel[acquisition.delays < 10].max() < 0.02
    # It has passed at the end.
    assert middle_pixel[acquisition.delays > 450].max() < 0.02


def test_a_wave_from_the_edge_has_not_come_everywhere():
    acquisition = simulate(scenario("from_edge", shape=(256, 256), angle=0.0))
    strength = acquisition.truth().strength.astype(float)
    come = strength.max(axis=0)[128]
    reach = (acquisition.delays[-1] * 1.944 / 3.0 - 0.5, 0.0)[0]
    assert come[: int(reach) - 20].min() > 0.5
    assert come[int(reach) + 2 :].max() == 0.0
    np.testing.assert_array_equal(acquisition.mask[128], come >= 0.5)
    early = int(np.flatnonzero(acquisition.delays == 50.0)[0])
    assert strength[early, 128, 60:].max() == 0.0


def test_contrast_jumps_by_half_a_turn_across_bend_contours():
    chosen = scenario("contrast_reversal", seed=1, shape=(160, 160), wave_coverage=1.0, **QUIET)
    acquisition = simulate(chosen)
    same = simulate(scenario("plane", seed=1, shape=(160, 160), wave_coverage=1.0, **QUIET))
    i = 80
    ratio = acquisition.modulation(i) / same.modulation(i)
    clear = np.abs(same.modulation(i)) > 1e-3
    strength = acquisition.wave_strength(i) / same.wave_strength(i)
    np.testing.assert_allclose(np.abs(ratio[clear]), strength[clear], rtol=1e-3)
    assert 0.15 < (ratio[clear] < 0).mean() < 0.85
    assert (strength > 0.9).mean() > 0.5
    # Fronts move as before, whatever the sign.
    np.testing.assert_array_equal(acquisition.flow(i), same.flow(i))


@pytest.mark.parametrize("name", ["wave_packet", "from_edge"])
def test_flow_carries_the_phase_where_the_envelope_differs(name):
    acquisition = simulate(scenario(name, seed=2, shape=(160, 160), frames=60, **QUIET))
    pair = 40
    flow = acquisition.flow(pair)
    y, x = np.indices(acquisition.shape)
    strong = np.minimum(*(acquisition.wave_strength(i) for i in (pair, pair + 1))) > 0.03
    first, second = (
        acquisition.modulation(i) / np.maximum(acquisition.wave_strength(i), 1e-9)
        for i in (pair, pair + 1)
    )
    carried = map_coordinates(second.astype(float), [y + flow[1], x + flow[0]], order=5)
    inner = strong[24:-24, 24:-24]
    assert inner.sum() > 1000
    assert np.abs(carried - first)[24:-24, 24:-24][inner].max() < 0.02

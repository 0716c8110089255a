"""Named scenarios have the documented numbers, and faults are named."""

import dataclasses

import numpy as np
import pytest

from uemdask.errors import FaultsError, UemError
from uemdask.simulate import SCENARIOS, scenario, simulate


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_builds(name):
    acquisition = simulate(scenario(name, seed=3, shape=(64, 80)))
    middle = len(acquisition) // 2
    frame = acquisition.frame(middle)
    assert frame.shape == (64, 80)
    assert frame.dtype == np.uint16
    assert 0.5 < frame.mean() / (acquisition.scenario.counts * acquisition.gain[middle]) < 1.6
    assert acquisition.mask.any() == (name != "no_wave")
    assert acquisition.present.any() == (name != "no_wave")
    assert (acquisition.delays < 0).sum() >= 3
    assert acquisition.flow(middle).any() == (acquisition.scenario.mode == "travelling")


@pytest.mark.parametrize(
    "name", [n for n, s in SCENARIOS.items() if s.mode == "travelling" and n != "chirped"]
)
def test_motion_stays_below_0_4_wavelength(name):
    acquisition = simulate(scenario(name, shape=(64, 64)))
    wave = acquisition.wave
    shortest = float(wave.wavelength(0.0)) / acquisition.pixel_size[0]
    for pair in range(len(acquisition) - 1):
        share = np.hypot(*acquisition.flow(pair)).max() / shortest
        assert share < 0.4
    if name == "fast":
        assert share > 0.3


def test_motion_of_the_chirped_wave_stays_below_half_a_wavelength():
    acquisition = simulate(scenario("chirped"))
    delays, wave = acquisition.delays, acquisition.wave
    for pair in np.flatnonzero(acquisition.present):
        shortest = float(wave.wavelength(delays[pair + 1])) / acquisition.pixel_size[0]
        share = np.hypot(*acquisition.flow(pair))[acquisition.mask].max() / shortest
        assert share < (0.25 if delays[pair + 1] <= 500 else 0.45)


def test_chirped_scenario_has_the_delays_and_strength_of_the_published_series():
    acquisition = simulate(scenario("chirped"))
    delays = acquisition.delays
    assert len(delays) == 156
    assert (delays[0], delays[-1]) == (-30.0, 990.0)
    assert set(np.diff(delays[delays <= 500])) == {5.0}
    assert set(np.diff(delays[delays >= 500])) == {10.0}
    for delay, strength in [(120.0, 0.04), (240.0, 0.19), (440.0, 0.09)]:
        frame = int(np.flatnonzero(delays == delay)[0])
        assert acquisition.wave_strength(frame).max() == pytest.approx(strength, rel=0.02)
    assert acquisition.wave_strength(int(np.flatnonzero(delays == 95.0)[0])).max() == 0.0


def wavelength_of(acquisition, delay):
    """Wavelength (nm) by least squares on a noise-free frame, and the phase at the centre."""
    frame = int(np.flatnonzero(acquisition.delays == delay)[0])
    image = acquisition.modulation(frame)
    s = acquisition.wave.distance(
        acquisition._columns[None, :] * acquisition.pixel_size[1],
        acquisition._rows[:, None] * acquisition.pixel_size[0],
    )[::4, ::4].ravel()
    value = image[::4, ::4].ravel()
    lengths = np.linspace(350.0, 1300.0, 951)
    misfits = []
    for length in lengths:
        basis = np.stack([np.cos(2 * np.pi * s / length), np.sin(2 * np.pi * s / length)], axis=1)
        misfits.append(np.linalg.lstsq(basis, value, rcond=None)[1][0])
    return lengths[int(np.argmin(misfits))]


def test_chirped_frames_show_the_published_wavelength_speed_and_frequency():
    acquisition = simulate(scenario("chirped", second_harmonic=0.0, wave_coverage=1.0))
    early, late = wavelength_of(acquisition, 160.0), wavelength_of(acquisition, 440.0)
    assert early == pytest.approx(997.0, rel=0.02)
    assert late == pytest.approx(441.0, rel=0.01)
    # The frequency at the centre, from the turns of the centre pixel.
    delays = acquisition.delays
    use = (delays >= 160.0) & (delays <= 440.0)
    centre = np.array(
        [
            acquisition.modulation(i)[128, 128] / acquisition.wave_strength(i)[128, 128]
            for i in np.flatnonzero(use)
        ]
    )
    candidates = np.linspace(25.0, 45.0, 401)
    phase = 2e-3 * np.pi * candidates[:, None] * delays[use]
    power = np.abs(np.exp(1j * phase) @ centre)
    frequency = candidates[int(np.argmax(power))]
    assert frequency == pytest.approx(34.5, abs=0.8)
    assert early * frequency * 1e-3 == pytest.approx(33.0, rel=0.03)
    assert late * frequency * 1e-3 == pytest.approx(15.0, rel=0.03)


def test_second_harmonic_beats_at_twice_the_frequency():
    acquisition = simulate(scenario("plane", second_harmonic=0.25, wave_coverage=1.0))
    i = np.flatnonzero(acquisition.delays >= 80.0)
    series = np.array(
        [acquisition.modulation(k)[100, 90] / acquisition.wave_strength(k)[100, 90] for k in i]
    )
    t = acquisition.delays[i]
    turn = 2e-3 * np.pi * acquisition.scenario.frequency * t
    basis = np.stack([f(n * turn) for n in (1, 2) for f in (np.cos, np.sin)], axis=1)
    fit = np.linalg.lstsq(basis, series, rcond=None)[0]
    assert np.hypot(fit[2], fit[3]) / np.hypot(fit[0], fit[1]) == pytest.approx(0.25, rel=1e-3)


def test_plane_scenario_is_the_documented_one():
    acquisition = simulate(scenario("plane"))
    assert len(acquisition) == 120
    assert (acquisition.delays < 0).sum() == 6
    assert acquisition.shape == (256, 256)
    assert 30 <= float(acquisition.wave.wavelength(0)) / 3.0 <= 40
    assert 2.0 <= np.hypot(*acquisition.drift.T).max() <= 6.0


def test_uneven_missing_and_few_delays_are_what_they_say():
    assert np.ptp(np.diff(SCENARIOS["uneven"].delays)) > 4.0
    assert len(SCENARIOS["uneven"].delays) == 120
    assert len(SCENARIOS["few_delays"].delays) == 24
    missing = SCENARIOS["missing_delays"].delays
    assert len(missing) == 80
    assert set(np.diff(missing)) == {5.0, 10.0}


def test_frames_cuts_or_prolongs_the_delays():
    assert scenario("plane", frames=10).delays == SCENARIOS["plane"].delays[:10]
    longer = scenario("chirped", frames=160).delays
    assert longer[:156] == SCENARIOS["chirped"].delays
    assert longer[156:] == (1000.0, 1010.0, 1020.0, 1030.0)


def test_any_field_can_be_overridden():
    changed = scenario("plane", counts=80.0, angle=12.0, delays=(-5, 0, 5))
    assert (changed.counts, changed.angle, changed.delays) == (80.0, 12.0, (-5.0, 0.0, 5.0))
    assert dataclasses.replace(changed, counts=90.0).counts == 90.0


def test_unknown_scenario_lists_the_known_ones():
    with pytest.raises(UemError, match=r"'plan' is not known.*plane.*chirped.*missing_delays"):
        scenario("plan")


def test_unknown_field_is_named():
    with pytest.raises(UemError, match="no wavelenth; choose from"):
        scenario("plane", wavelenth=3)


def test_all_faults_are_named_at_once():
    with pytest.raises(FaultsError) as caught:
        scenario("plane", shape=(4, 4), counts=-1.0, mode="rolling", delays=(0, 0, 5))
    text = str(caught.value)
    assert all(key in text for key in ("shape", "counts", "mode", "delays"))
    assert "4 faults" in text

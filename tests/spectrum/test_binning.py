"""The natural grid of a wave follows from its shortest wavelength, not from its noise."""

from types import SimpleNamespace

import numpy as np
import pytest
from known_waves import plane_wave

from uemdask.errors import UemError
from uemdask.spectrum.binning import Crests, natural_binning, shortest_wavelength
from uemdask.spectrum.smoothing import smooth
from uemdask.spectrum.squares import kept_noise
from uemdask.spectrum.wave_sample import WaveSample, binning_of_sample
from uemdask.stages.spectrum import SpectrumParameters, checked_binning

DELAYS = np.arange(40) * 5.0
SHAPE = (128, 160)


def measured(wave, *, noise=0.0, relevant=None):
    crests = Crests.of(DELAYS, 30.0, noise=noise, smoothing=2.0, window=0.5)
    relevant = np.ones(wave.shape[1:], bool) if relevant is None else relevant
    return shortest_wavelength(*crests.measure(wave.astype(np.float32), relevant))


def plane(wavelength, angle=30.0, shape=SHAPE):
    return plane_wave(shape, DELAYS, frequency=30.0, wavelength=wavelength, angle=angle).real


@pytest.mark.parametrize("wavelength", [12.0, 24.0, 50.0, 150.0])
@pytest.mark.parametrize("angle", [0.0, 45.0, 100.0])
def test_of_a_plane_wave_it_is_the_wavelength(wavelength, angle):
    assert measured(plane(wavelength, angle)) == pytest.approx(wavelength, rel=0.06)


def test_a_standing_wave_has_a_wavelength_too():
    assert measured(plane(50.0, 0) + plane(50.0, 180)) == pytest.approx(50, rel=0.2)


def test_of_two_waves_the_shorter_one_counts():
    both = np.concatenate([plane(120.0), plane(40.0)], axis=2)
    assert measured(both) == pytest.approx(40, rel=0.06)


def test_noise_does_not_pass_for_a_short_wave():
    random = np.random.default_rng(1)
    noise = smooth(random.normal(size=(len(DELAYS), *SHAPE)).astype(np.float32), 2.0)
    level = np.sqrt(kept_noise(2.0))
    # As strong as the wave, and as white in time as the band-pass leaves it at the most.
    found = measured(plane(80.0) + 0.5 / level * noise, noise=0.5)
    assert found > 64
    assert np.isnan(measured(noise, noise=level))


def test_what_is_not_relevant_has_no_say():
    relevant = np.zeros(SHAPE, bool)
    relevant[:, :64] = True
    wave = np.where(relevant, plane(100.0), plane(20.0))
    assert measured(wave, relevant=relevant) == pytest.approx(100, rel=0.06)


def test_a_field_of_any_size_is_measured():
    for shape in (128, 9), (7, 128), (130, 33):
        measured(plane(30.0, shape=shape), relevant=np.ones(shape, bool))


def test_16_samples_are_left_of_the_wavelength():
    for wavelength in np.geomspace(8, 250, 40):
        factor = natural_binning(wavelength, (2048, 2048))
        assert factor == 1 or wavelength / factor >= 16
        assert wavelength / (2 * factor) < 16


def test_a_binning_that_aliases_the_wave_is_refused(tmp_path):
    run = SimpleNamespace(path=tmp_path / "run.zarr", sizes={"y": 512, "x": 512})
    sample = WaveSample(np.ones((1, 1, 4), np.float32), wavelength_px=26.0, shortest_px=24.0)
    assert checked_binning(run, SpectrumParameters(binning=4), sample) == 4
    with pytest.raises(UemError, match=r"leaves 3\.0 samples of a wave of 24 px; take 'auto'"):
        checked_binning(run, SpectrumParameters(binning=8), sample)


def test_overrated_noise_does_not_make_the_grid_coarse():
    sample = WaveSample(np.ones((1, 1, 4), np.float32), wavelength_px=40.0, shortest_px=6e6)
    assert binning_of_sample(sample, (2048, 2048)) == 2

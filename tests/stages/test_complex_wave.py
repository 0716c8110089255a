"""The complex wave is that of the whole frame, wherever a field lies and whatever its tiles."""

import numpy as np
import pytest

from uemdask.cube.blocks import Place
from uemdask.cube.layout import Region
from uemdask.errors import UemError
from uemdask.spectrum import local_wavevector
from uemdask.spectrum.complex_wave import complex_wave
from uemdask.stages.spectrum import band_of
from uemdask.stages.stored_wave import check_wave, stored_wave


def read_complex_wave(run, region, frames, *, halo):
    place = Place.of(region, run.sizes, halo)
    wave, centre = stored_wave(run, place), band_of(run).centre
    return complex_wave(wave, run.read("time"), frames, centre=centre, place=place)


def test_it_is_the_plane_wave_of_the_store(waving):
    found = read_complex_wave(waving, Region(), (8, 11), halo=0)
    assert found.values.shape == (4, 300, 280)
    np.testing.assert_allclose(np.abs(found.values), 0.1, rtol=0.02)
    np.testing.assert_allclose(found.values.real, waving.read("wave")[8:12], atol=2e-3)
    k = local_wavevector(found.values[1])[:, 30:-30, 30:-30]
    np.testing.assert_allclose(k[0], 2 * np.pi / 40, rtol=0.01)
    np.testing.assert_allclose(k[1], np.pi / 40, rtol=0.02)


def test_a_field_across_tiles_has_no_seam(waving):
    whole = read_complex_wave(waving, Region(), (8, 9), halo=0)
    field = Region((("y", 200, 290), ("x", 250, 280)))
    part = read_complex_wave(waving, field, (8, 9), halo=16)
    assert part.values.shape == (2, 16 + 90 + 10, 16 + 30)  # the halo ends with the frame
    inner = part.values[:, *part.grid.place.inner]
    np.testing.assert_allclose(inner, whole.values[:, 200:290, 250:280], atol=1e-6)


def test_a_deleted_wave_is_named(tmp_path, waving):
    import shutil

    from uemdask.cube import Run

    run = Run(shutil.copytree(waving.path, tmp_path / "copy.zarr"))
    check_wave(run, None)
    shutil.rmtree(run.path / "wave")
    with pytest.raises(UemError, match=r"only=\['spectrum'\]"):
        check_wave(Run(run.path), None)

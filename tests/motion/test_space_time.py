"""The space-time plot along a line: known ramps, holes, and lines that leave the image."""

import numpy as np
import pytest
import xarray as xr

from uemdask.errors import UemError
from uemdask.motion.space_time import space_time, strip_along

Y, X = (np.arange(40) + 0.5) * 2.0, (np.arange(60) + 0.5) * 3.0


def ramp() -> xr.DataArray:
    """Return frames (time, y, x) that are ``x + 10 y`` in nm, and once that plus 1."""
    plane = X + 10 * Y[:, None]
    frames = np.stack([plane, plane + 1]).astype(np.float32)
    return xr.DataArray(frames, {"time": [0.0, 5.0], "y": Y, "x": X}, ("time", "y", "x"), "ramp")


@pytest.mark.parametrize("width", [0.0, 9.0])
def test_along_a_slanted_line_a_plane_is_a_line(width):
    plot = space_time(ramp(), (30.0, 20.0), (90.0, 65.0), width=width)  # 75 nm: 3, 4, 5
    wanted = 30.0 + 0.8 * plot.distance + 10 * (20.0 + 0.6 * plot.distance)
    np.testing.assert_allclose(plot.isel(time=0), wanted, rtol=1e-5)
    np.testing.assert_allclose(plot.isel(time=1), wanted + 1, rtol=1e-5)


def test_holes_do_not_count_until_too_little_is_known():
    frames = ramp() * 0 + 7
    frames[0, 14, :] = np.nan  # one of five rows of the strip
    frames[1, 12:17, 20:30] = np.nan  # all of them
    plot = space_time(frames, (10.0, 29.0), (170.0, 29.0), width=8.0)
    np.testing.assert_allclose(plot.isel(time=0), 7.0)
    hole = (plot.distance + 10.0 > X[20]) & (plot.distance + 10.0 < X[29])
    assert np.isnan(plot.isel(time=1)[hole]).all()
    np.testing.assert_allclose(plot.isel(time=1).dropna("distance"), 7.0)


def test_a_strip_that_leaves_the_image_is_refused_or_cut():
    with pytest.raises(UemError, match="leaves the image of 180 x 80 nm; shorten it"):
        space_time(ramp(), (10.0, 2.0), (170.0, 2.0), width=10.0)
    strip = strip_along(Y, X, (10.0, 2.0), (170.0, 2.0), 10.0)
    assert strip.leaves
    np.testing.assert_allclose(strip.average(np.ones((1, 40, 60), np.float32)), 1.0)
